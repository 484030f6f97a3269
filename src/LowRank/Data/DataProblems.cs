namespace LowRank.Data;

/// <summary>Counts what is wrong with the data and keeps the first ten to show.</summary>
internal sealed class DataProblems
{
    private const int Shown = 10;
    private readonly List<string> shown = [];

    public long Count { get; private set; }

    public void Add(DataPlace place, string problem)
    {
        Count++;
        if (shown.Count < Shown) shown.Add($"{place}: {problem}");
    }

    public void ThrowIfAny()
    {
        if (Count == 0) return;
        string heading = Count == 1 ? "The data has a problem:" : $"The data has {Count} problems:";
        throw new InputException(heading, Count > Shown ? [.. shown, $"and {Count - Shown} more"] : shown);
    }
}
