namespace LowRank.Samples.Understanding;

/// <summary>Writes the tables and plots of the pages from the results.</summary>
internal static class Report
{
    public static void Write(string root, Results results) => throw new NotSupportedException($"{root}: {results.Runs.Count}");
}
