namespace LowRank.Models;

/// <summary>A change that an adapter makes to weights of a model in memory.</summary>
internal interface IWeightChange
{
    /// <summary>The names of the weights.</summary>
    IEnumerable<string> Names { get; }

    /// <summary>Writes the change into the weights.</summary>
    void Apply();

    /// <summary>Restores the weights as they were before <see cref="Apply"/>, which may not have finished.</summary>
    void Revert();
}

/// <summary>The changes that are written into a model's weights, in the order in which they were made.</summary>
/// <remarks>Each change restores what it found, so a change is reverted only after those above it, which are applied
/// again afterwards.</remarks>
internal sealed class WeightChanges
{
    private readonly List<IWeightChange> applied = [];

    /// <summary>The names of the changed weights.</summary>
    public IEnumerable<string> Names => applied.SelectMany(change => change.Names);

    /// <summary>Applies a change on top of the others; if it fails, the weights are as before.</summary>
    public void Add(IWeightChange change)
    {
        try
        {
            change.Apply();
        }
        catch
        {
            change.Revert();
            throw;
        }
        applied.Add(change);
    }

    /// <summary>Reverts a change and keeps those above it.</summary>
    public void Remove(IWeightChange change)
    {
        int place = applied.IndexOf(change);
        if (place < 0) return;
        Revert(from: place);
        applied.RemoveAt(place);
        Apply(from: place);
    }

    /// <summary>Runs a function while the weights are the base's own.</summary>
    public T OnBase<T>(Func<T> function)
    {
        Revert(from: 0);
        try
        {
            return function();
        }
        finally
        {
            Apply(from: 0);
        }
    }

    private void Revert(int from)
    {
        for (int i = applied.Count - 1; i >= from; i--) applied[i].Revert();
    }

    private void Apply(int from)
    {
        for (int i = from; i < applied.Count; i++) applied[i].Apply();
    }
}
