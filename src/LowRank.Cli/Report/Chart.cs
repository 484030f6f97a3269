namespace LowRank.Cli.Report;

/// <summary>A chart: quantities of one unit over the steps.</summary>
/// <param name="Id">Its id in the page.</param>
/// <param name="Title">What it shows, with its unit.</param>
/// <param name="Lines">Its curves.</param>
/// <param name="Divisor">What the values are divided by, to be of the title's unit.</param>
internal sealed record Chart(string Id, string Title, IReadOnlyList<ChartLine> Lines, double Divisor = 1)
{
    /// <summary>The id of its heading.</summary>
    public string TitleId => Id + "-title";

    /// <summary>The id of its summary in words.</summary>
    public string SummaryId => Id + "-summary";
}
