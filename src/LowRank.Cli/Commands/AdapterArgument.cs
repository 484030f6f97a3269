using System.Globalization;
using LowRank.Adapters.Files;

namespace LowRank.Cli.Commands;

/// <summary>An adapter as the command line names it: FOLDER or FOLDER:WEIGHT.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Weight">The share of its changes that is applied; 1 where none is given.</param>
internal sealed record AdapterArgument(string Folder, double Weight)
{
    /// <summary>Reads a folder of plain pairs, and says what its config asks for without effect.</summary>
    public static LoraFolder Read(string folder)
    {
        LoraFolder read = LoraFolder.Read(folder);
        foreach (string warning in read.Config.Warnings) Console.Error.WriteLine("warning: " + warning);
        return read;
    }

    /// <summary>Reads an argument. A folder of the whole name wins, so that a colon in a name does no harm.</summary>
    /// <exception cref="InputException">The weight is no number, or not finite.</exception>
    public static AdapterArgument Parse(string text)
    {
        int colon = text.LastIndexOf(':');
        if (colon <= 0 || Directory.Exists(text)) return new AdapterArgument(text, 1);
        if (!double.TryParse(text.AsSpan(colon + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double weight))
        {
            return Directory.Exists(text[..colon])
                ? throw new InputException($"--adapter {text}: the weight is \"{text[(colon + 1)..]}\", expected a number such as 0.7.")
                : new AdapterArgument(text, 1);
        }
        if (!double.IsFinite(weight)) throw new InputException($"--adapter {text}: the weight is {text[(colon + 1)..]}, expected a finite number.");
        return new AdapterArgument(text[..colon], weight);
    }
}
