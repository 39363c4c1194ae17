export interface Book {
  id: number;
  title: string;
  subtitle: string;
  category: string;
  price_cents: number;
}

export interface BookDetail extends Book {
  pages: number;
  published_on: string;
  author: { id: number; name: string; country: string };
}

export interface Review {
  id: number;
  rating: number;
  body: string;
  customer: { name: string };
}

export interface RankedBook {
  id: number;
  title: string;
  author: string;
  copies: number;
}

export interface CartQuote {
  lines: number;
  copies: number;
  total_cents: number;
}

async function request<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await fetch(`/api${path}`, init);
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json() as Promise<T>;
}

export const PAGE = 20;

export const listBooks = (offset: number) =>
  request<{ total: number; items: Book[] }>(`/books?limit=${PAGE}&offset=${offset}`);
export const readBook = (id: number) => request<BookDetail>(`/books/${id}`);
export const readReviews = (id: number) => request<Review[]>(`/books/${id}/reviews?limit=10`);
export const readBlurb = (id: number) => request<{ text: string }>(`/books/${id}/blurb`);
export const readRankings = () => request<RankedBook[]>("/rankings?limit=20");
export const quoteCart = (lines: { book_id: number; quantity: number }[]) =>
  request<CartQuote>("/cart/quote", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ lines }),
  });

export const money = (cents: number) =>
  (cents / 100).toLocaleString("en", { style: "currency", currency: "EUR" });
