using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.IO;

namespace LowRank.Tasks.Rewards;

/// <summary>A file of completions in the making, <c>OUTPUT.part</c>: a line of settings, then each prompt's lines after
/// one another. A run that was killed continues after the last prompt whose lines are whole.</summary>
internal sealed class CompletionFile : IDisposable
{
    private static readonly JsonSerializerOptions Readable =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private readonly string output;
    private readonly FileStream stream;

    private CompletionFile(string output, FileStream stream, int done) =>
        (this.output, this.stream, Done) = (output, stream, done);

    /// <summary>Number of prompts whose lines are written.</summary>
    public int Done { get; private set; }

    /// <summary>Opens the file, or continues it.</summary>
    /// <param name="output">The file that is written in the end.</param>
    /// <param name="settings">What determines the lines.</param>
    /// <exception cref="InputException">It was begun with other settings, or another process writes it.</exception>
    public static CompletionFile Open(string output, JsonObject settings)
    {
        string path = Part(output), first = settings.ToJsonString(Readable);
        FileStream stream;
        try
        {
            if (Path.GetDirectoryName(Path.GetFullPath(output)) is { Length: > 0 } folder)
                Directory.CreateDirectory(folder);
            stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read, bufferSize: 0);
        }
        catch (IOException e)
        {
            throw new InputException(
                $"{path} cannot be written: {e.Message.TrimEnd('.')}. If another process writes it, wait for that " +
                    $"one.");
        }
        try
        {
            return new CompletionFile(output, stream, Continue(stream, first, path));
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Adds a prompt's lines, which appear together or, if the process ends meanwhile, are written
    /// anew.</summary>
    /// <param name="lines">Its completions.</param>
    public void Add(IReadOnlyList<JsonObject> lines)
    {
        // The number that each line begins with tells whole prompts from a part of one.
        string text = string.Concat(lines.Select((line, i) =>
            $"{Done} {(i == lines.Count - 1 ? "=" : "-")} {line.ToJsonString(Readable)}\n"));
        AtomicFile.Append(stream, Encoding.UTF8.GetBytes(text.Length > 0 ? text : $"{Done} =\n"));
        Done++;
    }

    /// <summary>Writes the output and removes the file in the making.</summary>
    /// <returns>Number of lines.</returns>
    public int Finish()
    {
        stream.Flush(flushToDisk: true);
        int rows = 0;
        AtomicFile.Write(output, target =>
        {
            using var writer = new StreamWriter(target, new UTF8Encoding(false), leaveOpen: true) { NewLine = "\n" };
            stream.Position = 0;
            using var reader = new StreamReader(stream, leaveOpen: true);
            _ = reader.ReadLine();
            while (reader.ReadLine() is { } line)
            {
                if (line.IndexOf('{', StringComparison.Ordinal) is not (>= 0 and var at)) continue;
                writer.WriteLine(line[at..]);
                rows++;
            }
        });
        stream.Dispose();
        File.Delete(Part(output));
        return rows;
    }

    /// <summary>Closes the file, which stays.</summary>
    public void Dispose() => stream.Dispose();

    private static string Part(string output) => output + ".part";

    // The number of whole prompts; what follows them is cut off.
    private static int Continue(FileStream stream, string settings, string path)
    {
        byte[] bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        int end = Array.IndexOf(bytes, (byte)'\n');
        if (end < 0)
        {
            stream.SetLength(0);
            AtomicFile.Append(stream, Encoding.UTF8.GetBytes(settings + "\n"));
            return 0;
        }
        if (Encoding.UTF8.GetString(bytes.AsSpan(0, end)) is var begun && begun != settings)
            throw new InputException(
                $"{path} was begun with other settings: {begun}; now they are {settings}. Continue with those, or " +
                "remove the file to begin anew.");
        int done = 0, kept = end + 1;
        for (int start = kept; (end = Array.IndexOf(bytes, (byte)'\n', start)) >= 0; start = end + 1)
        {
            if (!Encoding.UTF8.GetString(bytes.AsSpan(start, end - start)).StartsWith($"{done} =",
                StringComparison.Ordinal))
                continue;
            (done, kept) = (done + 1, end + 1);
        }
        stream.SetLength(kept);
        stream.Position = kept;
        return done;
    }
}
