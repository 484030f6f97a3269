namespace LowRank.Testing;

/// <summary>Tests that measure the process (memory, time, live tensors) and so run while no other does.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
public sealed class AloneCollection;
