namespace LowRank.Tasks;

/// <summary>Whether the rows differ in what is to be learned at all.</summary>
internal sealed class LabelVariety
{
    private string? first;
    private long rows;
    private bool differ;

    /// <summary>Whether several rows all have the same.</summary>
    public bool OnlyOne => rows > 1 && !differ;

    /// <summary>Takes what a row teaches in.</summary>
    public void Add(string target)
    {
        rows++;
        first ??= target;
        differ |= target != first;
    }
}
