import httpx
import pytest
from bookshop.main import app

IDS = {"book_id": "3", "author_id": "2", "article_id": "1", "customer_id": "5", "order_id": "4"}
GETS = sorted(path for path, operations in app.openapi()["paths"].items() if "get" in operations)
BY_ID = [path for path in GETS if "{" in path and "search_id" not in path]


def concrete(path: str, **ids: str) -> str:
    return path.format(**(IDS | ids))


@pytest.mark.parametrize("path", [path for path in GETS if "search_id" not in path])
async def test_answers_in_a_filled_shop(shop: httpx.AsyncClient, path: str) -> None:
    assert (await shop.get(concrete(path))).status_code == 200


@pytest.mark.parametrize("path", [path for path in GETS if "{" not in path])
async def test_answers_in_an_empty_shop(empty_shop: httpx.AsyncClient, path: str) -> None:
    assert (await empty_shop.get(path)).status_code == 200


@pytest.mark.parametrize("path", BY_ID)
@pytest.mark.parametrize("number", ["999999", "2147483647"])
async def test_unknown_ids_are_not_found(shop: httpx.AsyncClient, path: str, number: str) -> None:
    assert (await shop.get(path.format(**dict.fromkeys(IDS, number)))).status_code == 404


@pytest.mark.parametrize("path", BY_ID)
@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999", "x"])
async def test_impossible_ids_are_refused(shop: httpx.AsyncClient, path: str, number: str) -> None:
    assert (await shop.get(path.format(**dict.fromkeys(IDS, number)))).status_code == 422


async def test_a_page_of_books_is_sorted_and_bounded(shop: httpx.AsyncClient) -> None:
    page = (await shop.get("/books", params={"limit": 5, "offset": 2})).json()
    titles = [book["title"].lower() for book in page["items"]]
    assert (page["total"], len(titles), titles) == (24, 5, sorted(titles))
    assert (await shop.get("/books", params={"limit": 101})).status_code == 422


async def test_recent_orders_add_up_to_their_lines(shop: httpx.AsyncClient) -> None:
    for summary in (await shop.get("/orders/recent", params={"limit": 5})).json():
        lines = (await shop.get(f"/orders/{summary['id']}")).json()["lines"]
        assert summary["total_cents"] == sum(line["quantity"] * line["unit_cents"] for line in lines)


async def test_activity_is_the_customers_own_and_newest_first(shop: httpx.AsyncClient) -> None:
    times = [event["happened_at"] for event in (await shop.get("/customers/2/activity")).json()]
    assert times
    assert times == sorted(times, reverse=True)


async def test_home_and_rankings_agree(shop: httpx.AsyncClient) -> None:
    home = (await shop.get("/home")).json()["bestsellers"]
    assert home == (await shop.get("/rankings", params={"limit": 10})).json()


async def test_stock_asked_singly_and_together_agrees(shop: httpx.AsyncClient) -> None:
    singly = (await shop.get("/wholesale/stock", params={"limit": 7})).json()
    assert len(singly) == 7
    assert singly == (await shop.get("/wholesale/levels", params={"limit": 7})).json()


async def test_a_search_goes_on_where_it_stopped(shop: httpx.AsyncClient) -> None:
    first = (await shop.get("/search", params={"q": "the"})).json()
    again = (await shop.get(f"/searches/{first['search_id']}", params={"offset": 0})).json()
    assert first["total"] > 0
    assert again == first
    assert (await shop.get(f"/searches/{'0' * 32}")).status_code == 404


async def test_the_most_similar_title_comes_first(shop: httpx.AsyncClient) -> None:
    distances = [similar["distance"] for similar in (await shop.get("/books/3/similar")).json()]
    assert len(distances) == 8
    assert distances == sorted(distances)


async def test_a_blurb_stays_the_same(shop: httpx.AsyncClient) -> None:
    first, second = [(await shop.get("/books/3/blurb")).json() for _ in range(2)]
    assert first == second
    assert first["text"].endswith(".")


async def test_the_export_has_a_row_for_each_order(shop: httpx.AsyncClient) -> None:
    rows = (await shop.get("/orders/export.csv")).text.splitlines()
    assert rows[0] == "id,customer_id,status,placed_at"
    assert len(rows) == 1 + 24 * 12


@pytest.mark.parametrize(("password", "status"), [("reading-is-fun", 200), ("wrong", 401)])
async def test_only_the_right_password_lets_in(shop: httpx.AsyncClient, password: str, status: int) -> None:
    credentials = {"email": "reader3@example.org", "password": password}
    assert (await shop.post("/auth/login", json=credentials)).status_code == status


async def test_subscribing_twice_is_one_subscription(shop: httpx.AsyncClient) -> None:
    for _ in range(2):
        assert (await shop.post("/newsletter", json={"email": "new@example.org"})).status_code == 202


async def test_a_cart_leaves_out_unknown_books(shop: httpx.AsyncClient) -> None:
    price = (await shop.get("/books/1")).json()["price_cents"]
    lines = [{"book_id": 1, "quantity": 2}, {"book_id": 999, "quantity": 1}]
    quote = (await shop.post("/cart/quote", json={"lines": lines})).json()
    assert quote == {"lines": 1, "copies": 2, "total_cents": 2 * price}
