"""What a lesson does with files, in the checkout that is named: reads data, saves a record, reads it back."""
import sys

sys.path.insert(0, sys.argv[1])

from tandem import ROOT, data, records  # noqa: E402

assert str(ROOT) == sys.argv[1]
data.fashion_mnist()
data.penguins()
records.save("50_small", "pytorch", {}, [1.0])
assert records.load("50_small", "pytorch")["losses"] == {"loss": [1.0]}
