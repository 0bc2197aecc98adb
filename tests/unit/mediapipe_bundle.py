"""MediaPipe model bundles for tests, put together from the models that an older mediapipe wheel carries.

    python -m pip download --no-deps --dest DIR mediapipe==0.10.21
    python tests/unit/mediapipe_bundle.py DIR/mediapipe-*.whl BUNDLES

The new mediapipe has no models inside; its bundles (.task) are uncompressed zip files of the very same models.
"""

import sys
import zipfile
from pathlib import Path

WHEEL = "mediapipe==0.10.21"

# Name inside of the bundle -> place inside of the wheel.
BUNDLES = {
    "hand_landmarker.task": {
        "hand_detector.tflite": "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        "hand_landmarks_detector.tflite": "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
    },
    "pose_landmarker.task": {
        "pose_detector.tflite": "mediapipe/modules/pose_detection/pose_detection.tflite",
        "pose_landmarks_detector.tflite": "mediapipe/modules/pose_landmark/pose_landmark_full.tflite",
    },
    "face_landmarker.task": {
        "face_detector.tflite": "mediapipe/modules/face_detection/face_detection_short_range.tflite",
        "face_landmarks_detector.tflite": "mediapipe/modules/face_landmark/face_landmark.tflite",
    },
}


def with_normalization(model: bytes, mean: float, std: float) -> bytes:
    """The TFLite model with metadata that describes its one image input, as the tasks API asks for."""
    import flatbuffers
    import numpy as np
    from mediapipe.tasks.metadata import metadata_schema_py_generated as metadata
    from mediapipe.tasks.metadata import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    options = metadata.NormalizationOptionsT()
    options.mean, options.std = np.array([mean], np.float32), np.array([std], np.float32)
    unit = metadata.ProcessUnitT()
    unit.optionsType, unit.options = metadata.ProcessUnitOptions.NormalizationOptions, options
    content = metadata.ContentT()
    content.contentPropertiesType = metadata.ContentProperties.ImageProperties
    content.contentProperties = metadata.ImagePropertiesT()
    content.contentProperties.colorSpace = metadata.ColorSpaceType.RGB
    image = metadata.TensorMetadataT()
    image.name, image.content, image.processUnits = "image", content, [unit]
    graph = metadata.SubGraphMetadataT()
    graph.inputTensorMetadata = [image]
    graph.outputTensorMetadata = [metadata.TensorMetadataT() for _ in tree.subgraphs[0].outputs]
    root = metadata.ModelMetadataT()
    root.name, root.subgraphMetadata = "model", [graph]
    builder = flatbuffers.Builder(0)
    builder.Finish(root.Pack(builder), b"M001")

    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(bytes(builder.Output()), np.uint8)
    entry.name, entry.buffer = "TFLITE_METADATA", len(tree.buffers)
    tree.buffers.append(buffer)
    tree.metadata = [*(tree.metadata or []), entry]
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def with_iris_points(model: bytes) -> bytes:
    """The face mesh model with 478 points for its 468: the tasks API wants ten iris points too, here all zero."""
    import flatbuffers
    import numpy as np
    from mediapipe.tasks.metadata import schema_py_generated as schema

    tree = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(model, 0))
    graph = tree.subgraphs[0]
    mesh = graph.outputs[0]
    codes = [code.builtinCode or code.deprecatedBuiltinCode for code in tree.operatorCodes]

    def add_tensor(like: int, name: str, shape: list[int], data: bytes | None = None) -> int:
        buffer, tensor = schema.BufferT(), schema.TensorT()
        if data is not None:
            buffer.data = np.frombuffer(data, np.uint8)
        tensor.name, tensor.shape = name, np.array(shape, np.int32)
        tensor.type, tensor.buffer = graph.tensors[like].type, len(tree.buffers)
        tree.buffers.append(buffer)
        graph.tensors.append(tensor)
        return len(graph.tensors) - 1

    example = next(op for op in graph.operators if codes[op.opcodeIndex] == schema.BuiltinOperator.PAD)
    amounts = np.array([[0, 0], [0, 0], [0, 0], [0, 30]], np.int32)
    pad = schema.OperatorT()
    pad.opcodeIndex = example.opcodeIndex
    pad.inputs = np.array([mesh, add_tensor(example.inputs[1], "iris", [4, 2], amounts.tobytes())], np.int32)
    pad.outputs = np.array([add_tensor(mesh, "mesh_with_iris", [1, 1, 1, 478 * 3])], np.int32)
    graph.operators.append(pad)
    graph.outputs = np.array([pad.outputs[0], *graph.outputs[1:]], np.int32)
    builder = flatbuffers.Builder(len(model))
    builder.Finish(tree.Pack(builder), b"TFL3")
    return bytes(builder.Output())


# The pose landmark model of the wheel does not say how pixels become its input: x = (pixel - mean) / std.
CHANGES = {
    "pose_landmark_full.tflite": lambda model: with_normalization(model, 0.0, 255.0),
    "face_landmark.tflite": with_iris_points,
}


def build_bundles(wheel: Path, folder: Path) -> list[Path]:
    """Write the bundles of the wheel into the folder (made if missing) and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with zipfile.ZipFile(wheel) as source:
        for bundle, members in BUNDLES.items():
            with zipfile.ZipFile(folder / bundle, "w", zipfile.ZIP_STORED) as target:
                for name, place in members.items():
                    model = source.read(place)
                    model = CHANGES.get(place.rpartition("/")[2], bytes)(model)
                    target.writestr(name, model)
            made.append(folder / bundle)
    return made


if __name__ == "__main__":
    for path in build_bundles(Path(sys.argv[1]), Path(sys.argv[2])):
        print(path)
