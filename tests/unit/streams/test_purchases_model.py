"""The reference model of the purchases, held to what a join with a table means."""

from hypothesis import given
from hypothesis import strategies as st

from purchases.model import UNKNOWN, Product, Purchase, enrich

TIMES, IDS = st.integers(0, 50), st.integers(1, 4)
PRODUCTS = st.lists(st.builds(Product, TIMES, IDS.map(str), st.none() | st.text(min_size=1)), max_size=15)
PURCHASES = st.lists(st.builds(Purchase, TIMES, IDS, st.floats(0, 100)), max_size=15)


@given(PRODUCTS, PURCHASES)
def test_each_purchase_has_one_output_with_its_own_id_and_price(products, purchases):
    """A join loses, doubles and changes no purchase, and keys it by its product."""
    outputs = enrich(products, purchases)
    assert [(value["id"], value["price"]) for _, value in outputs] == [
        (one.id, one.price) for one in purchases
    ]
    assert all(key == str(value["id"]) for key, value in outputs)


@given(PRODUCTS, PURCHASES)
def test_a_name_is_one_that_the_product_had_by_then(products, purchases):
    """A name comes from a record of that product which is not newer than the purchase; without one it is unknown."""
    for one, (_, value) in zip(purchases, enrich(products, purchases), strict=True):
        had = [p.name for p in products if p.id == str(one.id) and p.timestamp_ms <= one.timestamp_ms]
        assert value["name"] in ({*had} - {None} | {UNKNOWN} if None in had or not had else {*had})


@given(PRODUCTS, PURCHASES, st.builds(Product, st.integers(51, 60), IDS.map(str), st.text(min_size=1)))
def test_a_later_name_changes_no_earlier_purchase(products, purchases, later):
    """D2 in the model: a record newer than all purchases is as if it were not there."""
    assert enrich([*products, later], purchases) == enrich(products, purchases)


@given(PRODUCTS, st.builds(Product, st.just(50), IDS.map(str), st.text(min_size=1)), st.floats(0, 100))
def test_of_two_names_at_one_time_the_later_record_counts(products, newest, price):
    """The log's order decides where timestamps do not."""
    ((_, value),) = enrich([*products, newest], [Purchase(50, int(newest.id), price)])
    assert value["name"] == newest.name
