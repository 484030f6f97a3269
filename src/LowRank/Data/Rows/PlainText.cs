namespace LowRank.Data.Rows;

/// <summary>What a file of plain text holds.</summary>
public enum PlainText
{
    /// <summary>Lines <c>prompt||completion</c>, as the LoRA paper's E2E data has them.</summary>
    Pairs,

    /// <summary>A document per line; blank lines are passed over.</summary>
    Lines,

    /// <summary>One document, the whole file.</summary>
    Document,
}
