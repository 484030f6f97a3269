namespace LowRank.Tests;

/// <summary>Tests that measure the process (memory, time) and so run while no other does.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
public sealed class AloneCollection;
