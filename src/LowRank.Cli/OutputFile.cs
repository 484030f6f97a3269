using System.Text;
using LowRank.IO;

namespace LowRank.Cli;

/// <summary>A file that a command writes: any path except the command's inputs, or - for standard output.</summary>
internal sealed class OutputFile
{
    private const string Standard = "-";
    private readonly string path;

    private OutputFile(string path) => this.path = path;

    /// <summary>Whether it is standard output; nothing else may then be written there.</summary>
    public bool IsStandardOutput => path is Standard or "/dev/stdout";

    /// <summary>Checks the path that an option gives.</summary>
    /// <param name="option">The option, for messages.</param>
    /// <param name="path">Its value.</param>
    /// <param name="inputs">The files and folders that the command reads.</param>
    /// <param name="allowsStandard">Whether the file may be standard output.</param>
    /// <exception cref="InputException">The path is a folder, an input, or standard output although the command writes
    /// other text there.</exception>
    public static OutputFile Of(string option, string path, IEnumerable<string?> inputs, bool allowsStandard = true)
    {
        if (path == Standard)
            return allowsStandard ? new OutputFile(path)
                : throw new InputException(
                    $"{option} is -, but standard output gets the command's own text; expected a file.");
        if (path.Length == 0)
            throw new InputException(
                $"{option} is empty; expected a file{(allowsStandard ? ", or - for standard output" : "")}.");
        if (Directory.Exists(path))
            throw new InputException($"{option} is {path}, which is a folder; expected a file.");
        AtomicFile.RefuseInputs(option, path, inputs);
        return new OutputFile(path);
    }

    /// <summary>Writes the file; a regular file appears complete or not at all.</summary>
    public void Write(Action<Stream> write)
    {
        if (path != Standard)
        {
            AtomicFile.Write(path, write);
            return;
        }
        using Stream standard = Console.OpenStandardOutput();
        write(standard);
    }

    /// <summary>Writes text as UTF-8.</summary>
    public void Write(string text) => Write(stream => stream.Write(new UTF8Encoding(false).GetBytes(text)));

    /// <summary>Prints a message: to standard error if the output itself goes to standard output.</summary>
    public void Say(string text) => (IsStandardOutput ? Console.Error : Console.Out).WriteLine(text);

    /// <inheritdoc/>
    public override string ToString() => path;
}
