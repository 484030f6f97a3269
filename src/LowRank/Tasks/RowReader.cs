using LowRank.Data;

namespace LowRank.Tasks;

/// <summary>Reads rows of any task and notes each that cannot be used.</summary>
internal static class RowReader
{
    /// <summary>Makes examples of all rows.</summary>
    /// <param name="files">JSONL files.</param>
    /// <param name="make">Makes the examples of a row; throws what is wrong with it, without its place.</param>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown.</exception>
    public static List<T> Read<T>(IReadOnlyList<string> files, Func<Sample, IEnumerable<T>> make)
    {
        if (files.Count == 0) throw new ArgumentException("There is no file to read.", nameof(files));
        var problems = new DataProblems();
        var made = new List<T>();
        foreach (Sample sample in files.SelectMany(file => SampleReader.Read(file, problems)))
        {
            try
            {
                made.AddRange(make(sample));
            }
            catch (InputException failure)
            {
                foreach (string problem in failure.Problems) problems.Add(sample.Place, problem);
            }
        }
        problems.ThrowIfAny();
        return made;
    }
}
