"""All that knows ComfyUI from inside: folders, memory, models, sampling, progress, values of the graph."""


def install() -> None:
    """Tell ComfyUI of our model folders, and the core of ComfyUI's attention and memory. Called once, by the door."""
    import comfy.model_management
    from comfy.ldm.modules.attention import optimized_attention

    from ..echomimic_core.runtime import set_attention, set_layer_weights, set_memory_hooks
    from .dtypes import cast_weights
    from .folders import offer_examples, register_model_folders

    register_model_folders()
    offer_examples()
    set_attention(optimized_attention)
    set_layer_weights(cast_weights)
    set_memory_hooks(
        lambda device: int(comfy.model_management.get_free_memory(device)), comfy.model_management.soft_empty_cache
    )
