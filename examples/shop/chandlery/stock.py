"""The articles that a new shop starts with."""

# (category, name, slug, price, stock, description)
ARTICLES = [
    ("Rope", "Hemp rope, 12 mm", "hemp-rope-12", "2.40", 400, "By the metre. Smells of harbour."),
    ("Rope", "Mooring line, 10 m", "mooring-line-10", "34.00", 25, "Spliced eye at one end."),
    ("Rope", "Whipping twine", "whipping-twine", "4.80", 60, "Waxed; keeps rope ends from fraying."),
    ("Ground tackle", "Stock anchor, 15 kg", "stock-anchor-15", "189.00", 6, "Holds in sand and mud."),
    ("Ground tackle", "Anchor chain, 8 mm", "anchor-chain-8", "7.90", 250, "Galvanised, by the metre."),
    ("Ground tackle", "Hand windlass", "hand-windlass", "412.00", 3, "Lifts the anchor with little effort."),
    ("Light", "Anchor lamp", "anchor-lamp", "58.50", 18, "White, all round, two miles."),
    ("Light", "Lamp oil, 1 l", "lamp-oil-1", "6.20", 90, "Burns without smoke."),
    ("Deck", "Teak bucket", "teak-bucket", "27.00", 12, "For water, fish or sitting on."),
    ("Deck", "Belaying pin", "belaying-pin", "11.30", 40, "Ash, turned by hand."),
    ("Deck", "Deck brush", "deck-brush", "9.90", 33, "Outlasts the crew."),
    ("Navigation", "Parallel rule", "parallel-rule", "21.00", 14, "Brass hinges, 45 cm."),
]


def fill(category_model, product_model):
    """Adds the articles that are missing. Returns how many; what exists is left as it is."""
    added = 0
    positions = {}
    for category, name, slug, price, stock, description in ARTICLES:
        position = positions.setdefault(category, len(positions) + 1)
        shelf, _ = category_model.objects.get_or_create(name=category, defaults={"position": position})
        _, new = product_model.objects.get_or_create(
            slug=slug,
            defaults={
                "category": shelf,
                "name": name,
                "price": price,
                "stock": stock,
                "description": description,
            },
        )
        added += new
    return added
