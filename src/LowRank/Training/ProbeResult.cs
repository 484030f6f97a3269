namespace LowRank.Training;

/// <summary>How long a run will take, from a few of its steps.</summary>
internal sealed record ProbeResult
{
    /// <summary>Micro-batches that were timed.</summary>
    public required int Steps { get; init; }

    /// <summary>The steps of one pass over the data.</summary>
    public required TimeSpan Epoch { get; init; }

    /// <summary>One evaluation of the validation data.</summary>
    public required TimeSpan Evaluation { get; init; }
}
