"""An online bookshop: catalogue, orders, reviews, supplier stock and generated blurbs."""
