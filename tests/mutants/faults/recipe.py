"""Mistakes in the recipe: rates, dropouts of one condition, mirrors, crops, buckets, weights of folders."""

from tests.mutants.faults.places import CORE, DATASET, NETWORK_TESTS, NETWORKS, SAMPLES, UNIT, fault

VIEW, VIEW_TESTS = f"{CORE}/training/data/view.py", f"{UNIT}/training/data/test_view.py"
ENGINE, ENGINE_TESTS = f"{CORE}/training/run/engine.py", f"{UNIT}/training/run/test_engine.py"
EDIT, SELECTION = f"{CORE}/pose/edit.py", f"{CORE}/training/data/selection.py"
PREPARE_TESTS = f"{UNIT}/training/data/test_prepare.py"

RECIPE = [
    fault(
        "in a mirror the left hand stays the left one",
        EDIT,
        "hands=pose.hands[:, ::-1],",
        "hands=pose.hands,",
        f"{VIEW_TESTS}::test_pixels_and_keypoints_move_together",
    ),
    fault(
        "in a mirror the sides of the body stay",
        EDIT,
        "bodies=take(pose.bodies, _BODY_MIRROR),",
        "bodies=pose.bodies,",
        f"{VIEW_TESTS}::test_in_a_mirror_sides_of_body_and_face_are_exchanged",
    ),
    fault(
        "the pose of a mirrored sample is not mirrored",
        VIEW,
        "return mirror(pose) if self.flipped else pose",
        "return pose",
        f"{VIEW_TESTS}::test_pixels_and_keypoints_move_together",
        f"{VIEW_TESTS}::test_a_mirrored_sample_is_mirrored_in_everything",
    ),
    fault(
        "the points stay where the pixels are cropped",
        VIEW,
        "pose = pose.map_points(lambda points: (points * whole - corner) / part)",
        "pose = pose.map_points(lambda points: points * whole / part)",
        f"{VIEW_TESTS}::test_pixels_and_keypoints_move_together",
    ),
    fault(
        "a crop loses the face",
        VIEW,
        "first, last = max(first, min(int(np.ceil(high)) - part, last)), min(last, max(int(low), first))",
        "first, last = first, last",
        f"{VIEW_TESTS}::test_a_crop_keeps_the_face",
    ),
    fault(
        "every sample of a step has a bucket of its own",
        DATASET,
        "drawn = np.random.default_rng([self.settings.seed, step]).choice(",
        "drawn = np.random.default_rng().choice(",
        f"{VIEW_TESTS}::test_all_samples_of_a_step_share_a_bucket_and_over_the_steps_each_has_its_share",
    ),
    fault(
        "buckets come equally often",
        DATASET,
        "p=shares / shares.sum())",
        "p=None)",
        f"{VIEW_TESTS}::test_all_samples_of_a_step_share_a_bucket_and_over_the_steps_each_has_its_share",
    ),
    fault(
        "the reference is near where it should be far",
        DATASET,
        "far = np.flatnonzero(away >= min(distance, away.max()))",
        "far = np.flatnonzero(away <= min(distance, away.max()))",
        f"{VIEW_TESTS}::test_the_reference_is_as_far_from_the_frames_shown_as_asked_or_as_the_clip_allows",
    ),
    fault(
        "a folder's weight is that of each of its clips",
        DATASET,
        "lengths[inside] *= weight / lengths[inside].sum()",
        "lengths[inside] *= weight",
        f"{VIEW_TESTS}::test_folders_are_taken_by_their_weights_and_clips_in_them_by_their_length",
    ),
    fault(
        "a dropped picture is still seen",
        NETWORKS,
        "((lacking, replace(conditions, reference=None)), (~lacking, conditions))",
        "((lacking, conditions), (~lacking, conditions))",
        f"{NETWORK_TESTS}::test_a_dropped_picture_is_no_reference_and_leaves_pose_and_audio",
    ),
    fault(
        "dropped audio is heard",
        NETWORKS,
        "mask = heard.expand(-1, *size) if mask is None else mask * heard",
        "mask = None if mask is None else mask",
        f"{NETWORK_TESTS}::test_dropped_audio_is_silence_and_leaves_the_others",
    ),
    fault(
        "the picture is kept as often as it should be dropped",
        DATASET,
        "not share or bool(rng.random() >= share)",
        "bool(rng.random() < share)",
        f"{SAMPLES}::test_picture_and_audio_are_dropped_by_themselves_as_often_as_asked",
    ),
    fault(
        "the cosine falls to nothing",
        ENGINE,
        "(1.0 - fallen * (1.0 - options.final_share))",
        "(1.0 - fallen)",
        f"{ENGINE_TESTS}::test_a_cosine_falls_from_the_warm_up_to_its_share_at_the_last_step",
    ),
    fault(
        "the warm-up is left out",
        ENGINE,
        "warm = min(1.0, (step + 1) / max(1, options.warmup_steps))",
        "warm = 1.0",
        f"{ENGINE_TESTS}::test_a_constant_rate_rises_in_its_warm_up_and_stays",
    ),
    fault(
        "all parts learn at one rate",
        ENGINE,
        'group["lr"] = rate * group.get(FACTOR, 1.0)',
        'group["lr"] = rate',
        f"{ENGINE_TESTS}::test_each_part_learns_at_its_factor_of_the_rate_of_the_step",
    ),
    fault(
        "landscape clips stand beside their person",
        SELECTION,
        "((middle - width // 2, top, width, height), size)",
        "((0, top, width, height), size)",
        f"{PREPARE_TESTS}::test_a_clip_of_a_bucket_has_its_frames_and_its_pose_over_them",
    ),
]
