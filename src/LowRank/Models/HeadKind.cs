namespace LowRank.Models;

/// <summary>What a model computes from its states.</summary>
public enum HeadKind
{
    /// <summary>Scores of the vocabulary: causal for a decoder, masked for an encoder, of the target text for T5.</summary>
    LanguageModel,

    /// <summary>One vector of label scores for a text.</summary>
    SequenceClassification,

    /// <summary>A vector of label scores for each token.</summary>
    TokenClassification,

    /// <summary>For each token a score of beginning and one of ending the answer.</summary>
    QuestionAnswering,

    /// <summary>No head: the states themselves.</summary>
    None,
}
