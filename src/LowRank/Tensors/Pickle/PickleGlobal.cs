namespace LowRank.Tensors.Pickle;

/// <summary>A name of Python's that a pickle refers to; one of those that are allowed. Nothing is ever called by it.</summary>
/// <param name="Name">Module and name, such as <c>torch._utils._rebuild_tensor_v2</c>.</param>
internal sealed record PickleGlobal(string Name);
