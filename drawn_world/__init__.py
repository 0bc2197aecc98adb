"""A drawn world to learn from: characters who speak and gesture, whose keypoints, masks and phonemes are known.

Everything follows from seeds. It needs espeakng-loader (eSpeak NG as a package) in addition to what training needs.
"""
