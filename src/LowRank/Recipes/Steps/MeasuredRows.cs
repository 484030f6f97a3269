namespace LowRank.Recipes.Steps;

/// <summary>Counts what a measurement has done, in rows: those whose loss is computed, and those whose text is
/// generated.</summary>
/// <param name="progress">Receives the rows done and all rows after each batch and token; null for nobody.</param>
/// <param name="rows">All rows of the measurement.</param>
/// <param name="longest">Maximum number of tokens per text.</param>
internal sealed class MeasuredRows(IProgress<(int Done, int Rows)>? progress, int rows, int longest)
{
    private int done;
    private long tokens; // of the texts in progress

    /// <summary>Adds rows, and forgets the tokens of texts in progress, which are among them.</summary>
    public void Add(int count)
    {
        done += count;
        tokens = 0;
        Report();
    }

    /// <summary>Adds a token of a text in progress, which counts as that share of the longest text.</summary>
    public void AddToken()
    {
        tokens++;
        Report();
    }

    private void Report() => progress?.Report((done + (int)(tokens / longest), rows));
}
