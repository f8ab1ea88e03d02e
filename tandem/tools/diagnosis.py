def explain(first, second, over):
    return ["  they part: " + ", ".join(over)]
