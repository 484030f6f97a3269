namespace LowRank.Samples.Understanding.Reports;

/// <summary>What the page shows of an experiment.</summary>
public interface IReport
{
    /// <summary>The experiment's name: of its table's mark, its figure and <c>--only</c>.</summary>
    string Name { get; }

    /// <summary>The table, in Markdown.</summary>
    string Table(Results results);

    /// <summary>The figure's SVG; null for an experiment without one.</summary>
    string? Figure(Results results);
}
