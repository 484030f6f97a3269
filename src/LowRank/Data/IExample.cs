namespace LowRank.Data;

/// <summary>A row of data, made ready for a task.</summary>
public interface IExample
{
    /// <summary>Tokens of its longest text, padding included: what batches are sorted by.</summary>
    int Length { get; }

    /// <summary>Tokens that are computed, padding left out.</summary>
    int Tokens { get; }

    /// <summary>Labels it predicts: its weight in a step's loss.</summary>
    int PredictedLabels { get; }

    /// <summary>The row it was made from; null when it comes from no file.</summary>
    DataPlace? Place { get; }
}
