namespace LowRank.Tokenization.SentencePiece;

/// <summary>What a piece of a sentencepiece model is (sentencepiece_model.proto).</summary>
internal enum PieceKind
{
    /// <summary>A token that texts are parted into.</summary>
    Normal = 1,

    /// <summary>Stands for what no token covers.</summary>
    Unknown = 2,

    /// <summary>Has no text, such as the beginning of a sentence.</summary>
    Control = 3,

    /// <summary>Is always kept whole.</summary>
    UserDefined = 4,

    /// <summary>Is never made, but may be merged from.</summary>
    Unused = 5,

    /// <summary>Stands for a byte.</summary>
    Byte = 6,
}
