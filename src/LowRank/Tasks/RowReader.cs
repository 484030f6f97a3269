using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank.Tasks;

/// <summary>Reads rows of any task and notes each that cannot be used.</summary>
internal static class RowReader
{
    /// <summary>Makes examples of all rows.</summary>
    /// <param name="source">The rows.</param>
    /// <param name="make">Makes the examples of a row; throws what is wrong with it, without its place.</param>
    /// <param name="notes">Receives what was met while reading, a sentence each; null for nobody.</param>
    /// <param name="foreign">Whether forms that other programs' data has are recognised.</param>
    /// <exception cref="InputException">Rows that cannot be used: all are counted, the first ten problems shown. Or no row is left.</exception>
    public static List<T> Read<T>(RowSource source, Func<Sample, IEnumerable<T>> make, ICollection<string>? notes = null, bool foreign = false)
    {
        RowReading reading = source.Reading(foreign);
        var made = new List<T>();
        foreach (Sample sample in reading.Rows())
        {
            try
            {
                made.AddRange(make(sample));
            }
            catch (InputException failure)
            {
                foreach (string problem in failure.Problems) reading.Problems.Add(sample.Place, problem);
            }
        }
        reading.Problems.ThrowIfAny();
        if (made.Count == 0) throw new InputException($"No row of {string.Join(", ", source.Paths)} is left to use.", reading.Notes);
        foreach (string note in reading.Notes) notes?.Add(note);
        return made;
    }
}
