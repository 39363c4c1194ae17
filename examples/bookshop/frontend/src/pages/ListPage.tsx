import { useState } from "react";
import { Link } from "react-router-dom";
import { listBooks, money, PAGE } from "../api";
import { useLoaded } from "../useLoaded";

export default function ListPage() {
  const [offset, setOffset] = useState(0);
  const { value: page, error } = useLoaded(() => listBooks(offset), offset);
  if (error) return <p role="alert">{error}</p>;
  if (!page) return <p>Loading…</p>;
  return (
    <>
      <h1>Books</h1>
      <ul>
        {page.items.map((book) => (
          <li key={book.id}>
            <Link to={`/books/${book.id}`}>{book.title}</Link> <small>{book.subtitle}</small> {money(book.price_cents)}
          </li>
        ))}
      </ul>
      <button disabled={offset === 0} onClick={() => setOffset(offset - PAGE)}>
        Back
      </button>
      <button disabled={offset + PAGE >= page.total} onClick={() => setOffset(offset + PAGE)}>
        Next
      </button>
    </>
  );
}
