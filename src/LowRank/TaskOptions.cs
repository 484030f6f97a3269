using LowRank.Recipes;

namespace LowRank;

/// <summary>What a model is adapted to, and the task's own settings.</summary>
/// <example><code>
/// new TrainingOptions { Task = TaskOptions.SequenceClassification with { Labels = ["bad", "good"] } }
/// </code></example>
/// <param name="Name">The task's name, as a recipe's <c>task</c> has it.</param>
public sealed record TaskOptions(string Name)
{
    private static readonly TaskSection Usual = new();

    /// <summary>Predicting the next token: texts, completions of prompts, conversations. The default.</summary>
    public static TaskOptions CausalLanguageModel { get; } = new("causal_lm");

    /// <summary>One label, several labels or a number per text.</summary>
    public static TaskOptions SequenceClassification { get; } = new("sequence_classification");

    /// <summary>A label per word, such as names of people and places.</summary>
    public static TaskOptions TokenClassification { get; } = new("token_classification");

    /// <summary>The span of a context that answers a question.</summary>
    public static TaskOptions QuestionAnswering { get; } = new("question_answering");

    /// <summary>A vector per text, near those of texts that mean the same.</summary>
    public static TaskOptions Embedding { get; } = new("embedding");

    /// <summary>One text turned into another, with an encoder and a decoder (T5).</summary>
    public static TaskOptions SequenceToSequence { get; } = new("seq2seq");

    /// <summary>Predicting masked tokens, with an encoder.</summary>
    public static TaskOptions MaskedLanguageModel { get; } = new("masked_lm");

    /// <summary>A score per answer, learned from pairs of a better and a worse one.</summary>
    public static TaskOptions Reward { get; } = new("reward");

    /// <summary>The labels in the order of their numbers. Default: null, those of the base's head or of the
    /// data.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>single_label_classification, multi_label_classification or regression. Default: null, as the data
    /// tells.</summary>
    public string? Problem { get; init; }

    /// <summary>Whether a head that the base has is replaced by a new one, as for another number of labels. Default:
    /// false.</summary>
    public bool NewHead { get; init; }

    /// <summary>How states become an embedding: mean, cls, lasttoken and others of sentence-transformers. Default:
    /// null, the model's own way, else mean.</summary>
    public string? Pooling { get; init; }

    /// <summary>What cosines are divided by in the contrastive loss of embeddings. Default: 0.05.</summary>
    public double Temperature { get; init; } = Usual.Temperature;

    /// <summary>The fraction of tokens that is masked. Default: 0.15.</summary>
    public double MaskShare { get; init; } = Usual.MaskShare;

    /// <summary>The factor of the squared sum of a pair's scores in the loss of reward models, which keeps their mean
    /// near 0. Default: 0, none.</summary>
    public double CenterRewardsCoefficient { get; init; } = Usual.CenterRewardsCoefficient;

    /// <summary>Tokens that windows of a long context share in question answering. Default: 128.</summary>
    public int Stride { get; init; } = Usual.Stride;

    /// <summary>Longest answer in tokens. Default: 30.</summary>
    public int MaxAnswerTokens { get; init; } = Usual.MaxAnswerTokens;
}
