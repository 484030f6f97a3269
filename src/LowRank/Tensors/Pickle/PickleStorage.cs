namespace LowRank.Tensors.Pickle;

/// <summary>A stretch of numbers that a pickle refers to.</summary>
/// <param name="DataType">As safetensors spells it.</param>
/// <param name="Key">The name of its file in the archive.</param>
/// <param name="Count">Numbers in it.</param>
internal sealed record PickleStorage(string DataType, string Key, long Count);
