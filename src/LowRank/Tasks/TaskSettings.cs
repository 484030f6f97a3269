using LowRank.Data;
using LowRank.Data.Packing;
using LowRank.Data.Stored;
using LowRank.Models;
using LowRank.Models.Sentences;

namespace LowRank.Tasks;

/// <summary>The settings of a task; each task reads those it knows.</summary>
public sealed record TaskSettings
{
    /// <summary>The labels in the order of their numbers; null takes them from the base or the data.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>How the labels of the data were read, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>transformers' problem_type of sequence classification: single_label_classification,
    /// multi_label_classification or regression; null lets the data tell.</summary>
    public string? Problem { get; init; }

    /// <summary>How states become an embedding, one of <see cref="SentenceFolder.ModeNames"/>; null takes the model's own way, else the mean over
    /// the text's tokens.</summary>
    public string? Pooling { get; init; }

    /// <summary>How texts become embeddings, as an adapter's folder says; null takes what the model's says.</summary>
    public SentencePipeline? Sentence { get; init; }

    /// <summary>The name of the model's prompt that stands before each text to embed; null takes its default.</summary>
    public string? Prompt { get; init; }

    /// <summary>Whether a head that the base has is replaced by a new one.</summary>
    public bool NewHead { get; init; }

    /// <summary>What cosines are divided by in the contrastive loss (InfoNCE, arXiv 1807.03748).</summary>
    public double Temperature { get; init; } = 0.05;

    /// <summary>Share of tokens predicted in masked language modelling (arXiv 1810.04805, section 3.1).</summary>
    public double MaskShare { get; init; } = 0.15;

    /// <summary>Tokens that windows of a long text share in question answering.</summary>
    public int Stride { get; init; } = 128;

    /// <summary>Longest answer in tokens.</summary>
    public int MaxAnswerTokens { get; init; } = 30;

    /// <summary>Longest text in tokens.</summary>
    public int MaxLength { get; init; } = 512;

    /// <summary>Whether the user asked for <see cref="MaxLength"/>; otherwise an embedding model's own length goes before it.</summary>
    public bool IsMaxLengthGiven { get; init; }

    /// <summary>What the user has to know of <see cref="MaxLength"/> with a model: that it has fewer positions; null for nothing.</summary>
    public string? LengthNote(INetwork network) => MaxLength <= network.MaxPositions ? null
        : $"max_length {MaxLength} is lowered to {network.MaxPositions}: the model has no more positions";

    /// <summary>Most tokens of a generated text.</summary>
    public int MaxNewTokens { get; init; } = 128;

    /// <summary>What is learned of prompts and conversations (causal_lm).</summary>
    public TrainOn TrainOn { get; init; } = TrainOn.Completion;

    /// <summary>How rows become batches (causal_lm).</summary>
    public RowBatching Batching { get; init; } = new();

    /// <summary>Where tokenised data is kept (causal_lm); null holds it in memory.</summary>
    public ExampleCache? Cache { get; init; }

    /// <summary>Seed of what is drawn in evaluation.</summary>
    public long Seed { get; init; } = 42;
}
