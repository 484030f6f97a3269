using System.Globalization;
using System.Text;

namespace LowRank.Data.Streaming;

/// <summary>Maps numbers of examples to numbers of drawn rows, so a resumed run need not create the earlier examples
/// again.</summary>
/// <remarks>A file of lines that grows during the run. It only saves time: without it, or if its end is damaged, the
/// examples are created again.</remarks>
internal sealed class StreamMarks
{
    private const int Every = 256; // examples between marks
    private readonly List<(long Examples, long Drawn)> marks = [(0, 0)];
    private readonly string heading;
    private string? path;
    private StorageWait? waits;

    /// <summary>Creates the marks of a stream.</summary>
    /// <param name="fingerprint">The stream's fingerprint.</param>
    public StreamMarks(string fingerprint) => heading = $"lowrank stream 1 {fingerprint}";

    /// <summary>Stores the marks in a file and loads those it contains.</summary>
    /// <param name="file">The file, which is overwritten if it belongs to another stream.</param>
    /// <exception cref="RunStorageException">The file cannot be read or written.</exception>
    /// <param name="wait">Waits while the disk is full; null to fail instead.</param>
    public void KeepIn(string file, StorageWait? wait = null)
    {
        (path, waits) = (file, wait);
        RunStorageException.Guard(file, () => TakeUp(file), waits);
    }

    /// <summary>The last mark before an example.</summary>
    public (long Examples, long Drawn) Before(long example)
    {
        int at = marks.FindLastIndex(mark => mark.Examples <= example);
        return marks[at];
    }

    /// <summary>Records the position of the stream.</summary>
    /// <exception cref="RunStorageException">The file cannot be written.</exception>
    public void Note(long examples, long drawn)
    {
        if (examples < marks[^1].Examples + Every) return;
        marks.Add((examples, drawn));
        if (path is null) return;
        byte[] line = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{examples} {drawn}\n"));
        RunStorageException.Guard(path, () =>
        {
            using var stream =
                new FileStream(path, FileMode.OpenOrCreate, FileAccess.Write, FileShare.Read, bufferSize: 0);
            stream.Seek(0, SeekOrigin.End);
            IO.AtomicFile.Append(stream, line);
        }, waits);
    }

    private void TakeUp(string file)
    {
        string[] lines = File.Exists(file) ? File.ReadAllText(file).Split('\n') : [];
        var known = new List<(long Examples, long Drawn)> { (0, 0) };
        if (lines.Length > 1 && lines[0] == heading)
        {
            foreach (string line in lines[1..^1]) // the last has no line end: it is empty, or torn
            {
                string[] numbers = line.Split(' ');
                if (numbers.Length != 2
                    || !long.TryParse(numbers[0], NumberStyles.None, CultureInfo.InvariantCulture, out long examples)
                    || !long.TryParse(numbers[1], NumberStyles.None, CultureInfo.InvariantCulture, out long drawn)
                    || examples <= known[^1].Examples || drawn <= known[^1].Drawn) break;
                known.Add((examples, drawn));
            }
        }
        foreach ((long Examples, long Drawn) mark in marks.Where(mark => mark.Examples > known[^1].Examples))
            known.Add(mark);
        marks.Clear();
        marks.AddRange(known);
        var text = new StringBuilder().Append(heading).Append('\n');
        foreach ((long examples, long drawn) in marks.Skip(1))
            text.Append(CultureInfo.InvariantCulture, $"{examples} {drawn}\n");
        if (Directory.Exists(file)) throw new IOException("it is a folder, expected a file");
        Directory.CreateDirectory(Path.GetDirectoryName(file)!);
        IO.AtomicFile.Write(file, text.ToString());
    }
}
