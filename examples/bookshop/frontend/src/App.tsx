import { lazy, Suspense } from "react";
import { Link, Route, Routes } from "react-router-dom";
import { useBasket } from "./basket";
import ListPage from "./pages/ListPage";
import StatsPage from "./pages/StatsPage";

const DetailPage = lazy(() => import("./pages/DetailPage"));
const CartPage = lazy(() => import("./pages/CartPage"));

export default function App() {
  const copies = Object.values(useBasket().quantities).reduce((sum, quantity) => sum + quantity, 0);
  return (
    <>
      <nav>
        <Link to="/">Books</Link>
        <Link to="/cart">Basket ({copies})</Link>
        <Link to="/stats">Sales</Link>
      </nav>
      <main>
        <Suspense fallback={<p>Loading…</p>}>
          <Routes>
            <Route path="/" element={<ListPage />} />
            <Route path="/books/:bookId" element={<DetailPage />} />
            <Route path="/cart" element={<CartPage />} />
            <Route path="/stats" element={<StatsPage />} />
          </Routes>
        </Suspense>
      </main>
    </>
  );
}
