using System.Globalization;
using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Models;
using LowRank.Tokenizers;

namespace LowRank.Cli.Commands;

/// <summary>A model that the command line has opened.</summary>
/// <param name="Model">The base.</param>
/// <param name="Adapters">Its adapters, by their folders; empty for the base alone.</param>
internal sealed record OpenedModel(PretrainedModel Model, AdapterSet Adapters) : IDisposable
{
    /// <summary>The model's tokenizer, or an adapter's own.</summary>
    /// <param name="talks">Whether conversations will be rendered, with an adapter's own template if it has
    /// one.</param>
    /// <exception cref="InputException">There is none, or two adapters have different ones.</exception>
    public Tokenizer RequireTokenizer(bool talks = false)
    {
        Tokenizer tokenizer = AdapterChatTemplates.LoadTokenizer(
            Model.Folder, AdapterVocabulary.Common(Adapters.Names.Select(name => Adapters[name].Vocabulary)),
            talks ? AdapterChatTemplates.Common(Adapters.Names.Select(name => Adapters[name].ChatTemplates))
            : null, Model.Generation.EndOfText) ?? throw new InputException(
            $"{Model.Folder} has no tokenizer; expected tokenizer.json, or vocab.json and merges.txt. Copy the " +
                "model's tokenizer files into the folder.");
        foreach (string note in tokenizer.Notes) Console.Error.WriteLine("note: " + note);
        return tokenizer;
    }

    public void Dispose()
    {
        Adapters.Dispose();
        Model.Dispose();
    }
}

/// <summary>An adapter as the command line names it: FOLDER or FOLDER:WEIGHT.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Weight">The share of its changes that is applied; 1 where none is given.</param>
internal sealed record AdapterArgument(string Folder, double Weight)
{
    /// <summary>Reads a folder of plain pairs, and says what its config asks for without effect.</summary>
    public static LoraFolder Read(string folder)
    {
        LoraFolder read = LoraFolder.Load(folder);
        foreach (string warning in read.Config.Warnings) Console.Error.WriteLine("warning: " + warning);
        return read;
    }

    /// <summary>Reads an argument. A folder of the whole name wins, so that a colon in a name does no harm.</summary>
    /// <exception cref="InputException">The weight is no number, or not finite.</exception>
    public static AdapterArgument Parse(string text)
    {
        int colon = text.LastIndexOf(':');
        if (colon <= 0 || Directory.Exists(text)) return new AdapterArgument(text, 1);
        if (!double.TryParse(
            text.AsSpan(colon + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out double weight))
        {
            return Directory.Exists(text[..colon])
                ? throw new InputException(
                    $"--adapter {text}: the weight is \"{text[(colon + 1)..]}\", expected a number such as 0.7.")
                : new AdapterArgument(text, 1);
        }
        if (!double.IsFinite(weight))
            throw new InputException(
                $"--adapter {text}: the weight is {text[(colon + 1)..]}, expected a finite number.");
        return new AdapterArgument(text[..colon], weight);
    }
}
