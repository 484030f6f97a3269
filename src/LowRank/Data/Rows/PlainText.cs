namespace LowRank.Data.Rows;

/// <summary>The content of a plain text file.</summary>
public enum PlainText
{
    /// <summary>Lines <c>prompt||completion</c>, as in the LoRA paper's E2E data.</summary>
    Pairs,

    /// <summary>One document per line; blank lines are skipped.</summary>
    Lines,

    /// <summary>One document, the whole file.</summary>
    Document,
}
