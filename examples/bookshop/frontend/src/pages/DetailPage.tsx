import { useParams } from "react-router-dom";
import { money, readBlurb, readBook, readReviews } from "../api";
import { useBasket } from "../basket";
import { useLoaded } from "../useLoaded";

export default function DetailPage() {
  const bookId = Number(useParams().bookId);
  const { quantities, put } = useBasket();
  const { value, error } = useLoaded(
    () => Promise.all([readBook(bookId), readBlurb(bookId), readReviews(bookId)]),
    bookId,
  );
  if (error) return <p role="alert">{error}</p>;
  if (!value) return <p>Loading…</p>;
  const [book, blurb, reviews] = value;
  return (
    <article>
      <h1>{book.title}</h1>
      <p>
        {book.author.name} · {book.pages} pages · {money(book.price_cents)}
      </p>
      <p>{blurb.text}</p>
      <button onClick={() => put(bookId, (quantities[bookId] ?? 0) + 1)}>Add to basket</button>
      <h2>Reviews</h2>
      {reviews.map((review) => (
        <blockquote key={review.id}>
          {review.body} <cite>{review.customer.name}, {review.rating}/5</cite>
        </blockquote>
      ))}
    </article>
  );
}
