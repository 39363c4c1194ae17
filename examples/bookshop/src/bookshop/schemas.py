"""What the endpoints answer."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field


class Row(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class AuthorOut(Row):
    id: int
    name: str
    country: str


class BookRow(Row):
    id: int
    isbn: str
    title: str
    subtitle: str
    category: str
    price_cents: int
    pages: int
    published_on: date
    author_id: int


class BookPage(BaseModel):
    total: int
    items: list[BookRow]


class BookDetail(BookRow):
    author: AuthorOut


class TitleOut(Row):
    id: int
    title: str


class SimilarTitle(BaseModel):
    id: int
    title: str
    distance: int


class Bargain(BaseModel):
    id: int
    title: str
    price: str


class Card(BaseModel):
    id: int
    title: str
    price_cents: int
    currency: str


class Inventory(Row):
    book_id: int
    on_hand: int
    reserved: int
    recounting: bool


class Barcode(BaseModel):
    isbn: str
    modules: str


class Blurb(BaseModel):
    book_id: int
    text: str


class Dispatch(BaseModel):
    book_id: int
    carrier: str
    days: int


class Offer(BaseModel):
    book_id: int
    available: int
    wholesale_cents: int
    carrier: str
    days: int


class Contract(BaseModel):
    book_id: int
    sku: str
    contract: str
    discount: int


class ReviewerOut(Row):
    id: int
    name: str


class ReviewOut(Row):
    id: int
    rating: int
    body: str
    written_at: datetime
    customer: ReviewerOut


class SyndicatedReview(Row):
    id: int
    book_id: int
    customer_id: int
    rating: int
    body: str
    written_at: datetime


class ArticleDetail(Row):
    id: int
    title: str
    body: str
    published_on: date


class ShareLink(BaseModel):
    article_id: int
    url: str


class CustomerOut(Row):
    id: int
    name: str
    email: str
    joined_on: date


class Activity(Row):
    id: int
    kind: str
    subject: str
    happened_at: datetime


class LineOut(Row):
    id: int
    book_id: int
    quantity: int
    unit_cents: int


class OrderRow(Row):
    id: int
    customer_id: int
    status: str
    placed_at: datetime


class OrderOut(OrderRow):
    lines: list[LineOut]


class OrderSummary(OrderRow):
    copies: int
    total_cents: int


class RankedBook(Row):
    id: int
    title: str
    author: str
    copies: int


class Home(BaseModel):
    headline: str
    bestsellers: list[RankedBook]


class Dashboard(BaseModel):
    books: int
    customers: int
    open_orders: int


class Pair(Row):
    first_id: int
    second_id: int
    orders: int


class Hit(BaseModel):
    id: int
    title: str
    author: str
    price_cents: int


class SearchPage(BaseModel):
    search_id: str
    total: int
    items: list[Hit]


class Stock(BaseModel):
    book_id: int
    title: str
    available: int


class WholesaleOverview(BaseModel):
    arriving_copies: int
    carriers: list[str]
    fuel_percent: int
    closed_sites: list[str]


class Duty(BaseModel):
    country: str
    heading: str
    value_cents: int
    duty_cents: int


class LoginIn(BaseModel):
    email: str = Field(max_length=200, examples=["reader1@example.org"])
    password: str = Field(max_length=200, examples=["reading-is-fun"])


class LoginOut(BaseModel):
    customer_id: int
    token: str


class NewsletterIn(BaseModel):
    email: str = Field(
        min_length=3, max_length=200, pattern=r"^[^@\s]+@[^@\s]+$", examples=["new@example.org"]
    )


class CartLine(BaseModel):
    book_id: int = Field(ge=1, le=2**31 - 1)
    quantity: int = Field(ge=1, le=99)


class CartIn(BaseModel):
    lines: list[CartLine] = Field(max_length=50)


class CartQuote(BaseModel):
    lines: int
    copies: int
    total_cents: int
