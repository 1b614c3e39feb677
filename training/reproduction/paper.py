"""What the paper published of its GPT-2 (section 5.4 and the figures' data), to be put beside what is measured here.

Its cases are a stratified sample, at most 100 per true rating, of windows whose users and films occur in training too;
its predictions are single greedy tokens. So its numbers belong beside the `stratified` ones, and are no mark to meet.
"""

CONTEXT_LENGTHS = tuple(range(10))
OBJECTIVES = ("weighted", "unweighted")

# By context length 0..9. The .8000 of the unweighted objective at 9 is 20 cases of 25.
CASES = (721, 734, 710, 717, 723, 739, 695, 578, 191, 25)
REWARD_ACCURACY = {
    "weighted": (0.7087, 0.7411, 0.7197, 0.7225, 0.7331, 0.7334, 0.7237, 0.7042, 0.6545, 0.6800),
    "unweighted": (0.6533, 0.6907, 0.7099, 0.6946, 0.7248, 0.7240, 0.7381, 0.7353, 0.7068, 0.8000),
}
