import { createContext, useContext, useMemo, useState, type ReactNode } from "react";

type Basket = {
  quantities: Record<number, number>;
  put: (bookId: number, quantity: number) => void;
};

const BasketContext = createContext<Basket>({ quantities: {}, put: () => {} });

export function BasketProvider({ children }: { children: ReactNode }) {
  const [quantities, setQuantities] = useState<Record<number, number>>({});
  const basket = useMemo(
    () => ({
      quantities,
      put: (bookId: number, quantity: number) =>
        setQuantities((before) => {
          const { [bookId]: _, ...others } = before;
          return quantity > 0 ? { ...others, [bookId]: quantity } : others;
        }),
    }),
    [quantities],
  );
  return <BasketContext.Provider value={basket}>{children}</BasketContext.Provider>;
}

export const useBasket = () => useContext(BasketContext);
