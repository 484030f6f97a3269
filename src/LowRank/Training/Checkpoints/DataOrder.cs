using LowRank.Data;

namespace LowRank.Training;

/// <summary>Which data a run takes in which order: with it, a step's number says where in the data the run is.</summary>
/// <param name="Rows">Training examples.</param>
/// <param name="Sha256">Of their lengths and labels, and of their tokens where rows hold them.</param>
/// <param name="RowsPerStep">Examples of a step.</param>
/// <param name="Shuffle">Whether each epoch has an order of its own.</param>
/// <param name="Seed">Seed of the orders.</param>
internal sealed record DataOrder(long Rows, string Sha256, long RowsPerStep, bool Shuffle, long Seed)
{
    public static DataOrder Of(IReadOnlyList<IExample> examples, TrainingOptions options)
    {
        string fingerprint = examples is IFingerprinted known ? known.Fingerprint : ExampleFingerprint.Of(examples);
        return new DataOrder(examples.Count, fingerprint, (long)options.BatchSize * options.GradientAccumulation, options.Shuffle, options.Seed);
    }

    /// <summary>What this run does otherwise than the one of a checkpoint, a sentence each; none when rows come as they did.</summary>
    public IEnumerable<string> Differences(DataOrder earlier)
    {
        if (Rows != earlier.Rows) yield return $"the data had {earlier.Rows} rows, and has {Rows} now";
        else if (Sha256 != earlier.Sha256) yield return "the rows of the data have changed (or their tokens, by training.max_length or the tokenizer)";
        if (RowsPerStep != earlier.RowsPerStep) yield return $"a step took {earlier.RowsPerStep} rows, and takes {RowsPerStep} now (training.batch_size · training.gradient_accumulation)";
        if (Shuffle != earlier.Shuffle) yield return $"training.shuffle was {(earlier.Shuffle ? "true" : "false")}";
        if (Seed != earlier.Seed) yield return $"training.seed was {earlier.Seed}, and is {Seed} now";
    }
}
