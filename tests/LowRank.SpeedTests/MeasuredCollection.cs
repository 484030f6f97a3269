namespace LowRank.SpeedTests;

/// <summary>Tests that measure speed, one after the other.</summary>
[CollectionDefinition(Name, DisableParallelization = true)]
public sealed class MeasuredCollection : ICollectionFixture<MeasuredMachine>
{
    public const string Name = "measured";
}
