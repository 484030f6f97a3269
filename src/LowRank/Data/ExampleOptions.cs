using LowRank.Data.Chat;

namespace LowRank.Data;

/// <summary>How rows become examples.</summary>
public sealed record ExampleOptions
{
    /// <summary>What is learned of prompts and conversations. Default: <see cref="TrainOn.Completion"/>.</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Completion;

    /// <summary>Longest example in tokens; what is beyond is cut off at the end and counted. Default 512, at least 2.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Number of ids the model knows; null takes the tokenizer's.</summary>
    public int? VocabularySize { get; init; }

    /// <summary>How conversations are written; null takes the tokenizer's chat template, or ChatML where it has none.</summary>
    public IChatFormat? ChatFormat { get; init; }
}
