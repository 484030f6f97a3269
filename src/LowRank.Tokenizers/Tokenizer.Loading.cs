using LowRank.Tokenizers.Classes;
using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PostProcessors;
using LowRank.Tokenizers.PreTokenizers;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers;

// Loading from the files that come with models.
public sealed partial class Tokenizer
{
    /// <summary>Whether a folder has tokenizer files that <see cref="Load"/> reads.</summary>
    public static bool IsPresent(string folder) => File.Exists(Path.Combine(folder, FileName))
        || File.Exists(Path.Combine(folder, WordPieceClasses.FileName)) || SentencePieceModel.Find(folder) is not null
        || (File.Exists(Path.Combine(folder, "vocab.json")) && File.Exists(Path.Combine(folder, "merges.txt")));

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="folderOrFile">A model folder, a tokenizer.json, or a sentencepiece model (.model), which is used
    /// with its own ids and without special tokens.</param>
    /// <param name="endOfText">The token that ends a text if the tokenizer's files specify none; a model's config
    /// does.</param>
    /// <exception cref="InputException">There is no tokenizer, or it requires something unsupported; the message gives
    /// the component and its position.</exception>
    public static Tokenizer Load(string folderOrFile, int? endOfText = null)
    {
        if (File.Exists(folderOrFile) && folderOrFile.EndsWith(".model", StringComparison.Ordinal))
            return LoadSentencePiece(folderOrFile, null, endOfText);
        if (File.Exists(folderOrFile)) return LoadJson(folderOrFile, null, endOfText);
        string file = Path.Combine(folderOrFile, FileName);
        if (File.Exists(file)) return LoadJson(file, folderOrFile, endOfText);
        if (IsPresent(folderOrFile)) return LoadFolder(folderOrFile, endOfText);
        throw new InputException(
            $"{folderOrFile} has no tokenizer; expected {FileName}, vocab.json and merges.txt, " +
            $"{WordPieceClasses.FileName}, or one of {string.Join(", ", SentencePieceModel.FileNames)}.");
    }

    /// <summary>Uses the text of a tokenizer.json instead of the one in a folder.</summary>
    /// <param name="json">The text.</param>
    /// <param name="folder">The folder whose other files apply.</param>
    /// <param name="endOfText">The token that ends a text if the files specify none.</param>
    /// <exception cref="InputException">The tokenizer requires something unsupported.</exception>
    public static Tokenizer Parse(string json, string folder, int? endOfText = null) =>
        Read(json, Path.Combine(folder, FileName), folder, endOfText);

    private static Tokenizer LoadJson(string file, string? folder, int? endOfText) =>
        Read(SmallFile.ReadText(file, SmallFile.MostOfVocabulary), file, folder, endOfText);

    private static Tokenizer Read(string text, string file, string? folder, int? endOfText)
    {
        var json = new ComponentJson(JsonObjects.Parse(text, file), file);
        LengthSettings said = LengthSettings.Read(json);
        return folder is null
            ? new Tokenizer(json, TokenizerFolder.Empty, said) { EndOfText = endOfText, Place = file,
            Fingerprint = TokenizerFiles.Fingerprint(text, null, endOfText) }
            : new Tokenizer(json, TokenizerFolder.Read(folder), said.With(folder)) { EndOfText = endOfText,
                Place = file, Fingerprint = TokenizerFiles.Fingerprint(text, folder, endOfText) };
    }

    // A folder without tokenizer.json: by the class in its files, otherwise by the kind of its files.
    private static Tokenizer LoadFolder(string path, int? endOfText)
    {
        if (TokenizerClass.Read(path) is { } parts) return Made(parts, path, endOfText, []);
        if (SentencePieceModel.Find(path) is { } pieces) return LoadSentencePiece(pieces, path, endOfText);
        bool words = File.Exists(Path.Combine(path, WordPieceClasses.FileName));
        string note =
            $"{path} names no tokenizer class (tokenizer_class in tokenizer_config.json, model_type in config.json); " +
            (words ? "vocab.txt is read as BERT's." : "vocab.json and merges.txt are read as GPT-2's.");
        return Made(TokenizerClass.Read(path, words ? "BertTokenizer" : "GPT2Tokenizer"), path, endOfText, [note]);
    }

    private static Tokenizer Made(ClassParts parts, string path, int? endOfText, IReadOnlyList<string> notes) =>
        new(parts.Model, TokenizerFolder.Read(path) with { SpecialTokens = parts.Tokens.Roles }, parts.Tokens.Added,
            parts.Normalizer, parts.PreTokenizer, parts.Frame,
            parts.Decoder, LengthSettings.None.With(path) with { Notes = notes })
        {
            EndOfText = endOfText,
            Place = path,
            Fingerprint = TokenizerFiles.Fingerprint("", path, endOfText),
        };

    private static Tokenizer LoadSentencePiece(string file, string? folder, int? endOfText)
    {
        SentencePieceModel pieces = SentencePieceModel.Read(file, folder);
        return new Tokenizer(
            pieces.Model, pieces.Folder, pieces.Added, pieces.Normalizer, null, pieces.Frame, pieces.Decoder,
            folder is null ? LengthSettings.None : LengthSettings.None.With(folder)) { EndOfText = endOfText,
            Place = file, Fingerprint = TokenizerFiles.Fingerprint(
                Convert.ToBase64String(SmallFile.ReadBytes(file, SmallFile.MostOfVocabulary)), folder, endOfText) };
    }
}
