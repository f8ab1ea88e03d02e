# ---
# # expects 1: the lesson is empty
# minutes: {read: 1, run: 1, exercises: 0}
# ---
