import { money, quoteCart } from "../api";
import { useBasket } from "../basket";
import { useLoaded } from "../useLoaded";

export default function CartPage() {
  const { quantities, put } = useBasket();
  const lines = Object.entries(quantities).map(([id, quantity]) => ({ book_id: Number(id), quantity }));
  const { value: quote, error } = useLoaded(() => quoteCart(lines), JSON.stringify(lines));
  if (lines.length === 0) return <p>The basket is empty.</p>;
  return (
    <>
      <h1>Basket</h1>
      <ul>
        {lines.map((line) => (
          <li key={line.book_id}>
            Book {line.book_id} × {line.quantity} <button onClick={() => put(line.book_id, 0)}>Remove</button>
          </li>
        ))}
      </ul>
      {error ? <p role="alert">{error}</p> : <p>{quote ? money(quote.total_cents) : "…"}</p>}
    </>
  );
}
