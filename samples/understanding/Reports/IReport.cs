namespace LowRank.Samples.Understanding.Reports;

/// <summary>What a page shows of an experiment.</summary>
public interface IReport
{
    /// <summary>The name of its table's mark and its figure.</summary>
    string Name { get; }

    /// <summary>The table, in Markdown.</summary>
    string Table(Results results);

    /// <summary>The figure's SVG; null for an experiment without one.</summary>
    string? Figure(Results results);
}
