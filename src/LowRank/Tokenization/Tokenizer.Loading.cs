using System.Text.Json;
using System.Text.Json.Nodes;
using LowRank.Tokenization.Decoders;
using LowRank.Tokenization.Models;
using LowRank.Tokenization.Normalizers;
using LowRank.Tokenization.PostProcessors;
using LowRank.Tokenization.PreTokenizers;
using LowRank.Tokenization.SentencePiece;

namespace LowRank.Tokenization;

// From the files that models come with.
public sealed partial class Tokenizer
{
    /// <summary>Whether a folder has tokenizer files that <see cref="Load"/> reads.</summary>
    public static bool IsPresent(string folder) => File.Exists(Path.Combine(folder, FileName)) || File.Exists(Path.Combine(folder, BertVocabulary.FileName)) || SentencePieceModel.Find(folder) is not null
        || (File.Exists(Path.Combine(folder, "vocab.json")) && File.Exists(Path.Combine(folder, "merges.txt")));

    /// <summary>Reads a tokenizer.</summary>
    /// <param name="folderOrFile">A model folder, a tokenizer.json, or a sentencepiece model (.model), whose own ids and no
    /// special tokens are taken then.</param>
    /// <param name="endOfText">The token that ends a text, where the tokenizer's files name none: a model's config does.</param>
    /// <exception cref="InputException">No tokenizer is there, or it asks for what is not supported; the message names the
    /// component and its place.</exception>
    public static Tokenizer Load(string folderOrFile, int? endOfText = null)
    {
        if (File.Exists(folderOrFile) && folderOrFile.EndsWith(".model", StringComparison.Ordinal)) return LoadSentencePiece(folderOrFile, null, endOfText);
        if (File.Exists(folderOrFile)) return Parse(folderOrFile, null, endOfText);
        string file = Path.Combine(folderOrFile, FileName);
        if (File.Exists(file)) return Parse(file, folderOrFile, endOfText);
        if (SentencePieceModel.Find(folderOrFile) is { } pieces) return LoadSentencePiece(pieces, folderOrFile, endOfText);
        if (File.Exists(Path.Combine(folderOrFile, BertVocabulary.FileName))) return LoadBert(folderOrFile, endOfText);
        if (IsPresent(folderOrFile)) return LoadGpt2(folderOrFile, endOfText);
        throw new InputException($"{folderOrFile} has no tokenizer; expected {FileName}, vocab.json and merges.txt, {BertVocabulary.FileName}, or one of {string.Join(", ", SentencePieceModel.FileNames)}.");
    }

    /// <summary>Reads the text of a tokenizer.json that belongs to a folder.</summary>
    internal static Tokenizer Read(string json, string folder, int? endOfText) => Parse(json, Path.Combine(folder, FileName), folder, endOfText);

    private static Tokenizer Parse(string file, string? folder, int? endOfText) => Parse(SmallFile.ReadText(file, SmallFile.MostOfVocabulary), file, folder, endOfText);

    private static Tokenizer Parse(string text, string file, string? folder, int? endOfText)
    {
        var json = new ComponentJson(JsonObjects.Parse(text, file), file);
        LengthSettings said = LengthSettings.Read(json);
        return folder is null
            ? new Tokenizer(json, TokenizerFolder.Empty, said) { EndOfText = endOfText, Fingerprint = TokenizerFiles.Fingerprint(text, null, endOfText) }
            : new Tokenizer(json, TokenizerFolder.Read(folder), said.With(folder)) { EndOfText = endOfText, Fingerprint = TokenizerFiles.Fingerprint(text, folder, endOfText) };
    }

    // GPT-2's own form has no description of the steps: they are the byte level's.
    private static Tokenizer LoadGpt2(string path, int? endOfText)
    {
        BytePairModel model = BytePairReader.Read(Path.Combine(path, "vocab.json"), Path.Combine(path, "merges.txt"));
        TokenizerFolder said = TokenizerFolder.Read(path);
        const string EndOfText = "<|endoftext|>";
        if (said.SpecialTokens.Count == 0 && model.Vocabulary.ContainsKey(EndOfText))
            said = said with { SpecialTokens = new[] { "bos_token", "eos_token", "unk_token" }.ToDictionary(role => role, _ => EndOfText) };
        AddedToken[] added = [.. said.SpecialTokens.Values.Distinct().Where(model.Vocabulary.ContainsKey)
            .Select(token => new AddedToken(token, model.Vocabulary[token], true, false, false, false, false))];
        var json = new ComponentJson(new JsonObject { ["add_prefix_space"] = false }, path);
        return new Tokenizer(model, said, added, null, new ByteLevelPreTokenizer(json), SpecialTokenFrame.None, new ByteLevelDecoder(), LengthSettings.None.With(path)) { EndOfText = endOfText, Fingerprint = TokenizerFiles.Fingerprint("", path, endOfText) };
    }

    private static Tokenizer LoadSentencePiece(string file, string? folder, int? endOfText)
    {
        SentencePieceModel pieces = SentencePieceModel.Read(file, folder);
        return new Tokenizer(pieces.Model, pieces.Folder, pieces.Added, pieces.Normalizer, null, pieces.Frame, pieces.Decoder,
            folder is null ? LengthSettings.None : LengthSettings.None.With(folder)) { EndOfText = endOfText, Fingerprint = TokenizerFiles.Fingerprint(Convert.ToBase64String(SmallFile.ReadBytes(file, SmallFile.MostOfVocabulary)), folder, endOfText) };
    }

    private static Tokenizer LoadBert(string path, int? endOfText)
    {
        BertVocabulary bert = BertVocabulary.Read(path);
        return new Tokenizer(bert.Model, bert.Folder, bert.Added, NormalizerReader.Read(bert.Normalizer), PreTokenizerReader.Read(bert.PreTokenizer),
            bert.Frame, DecoderReader.Read(bert.Decoder), LengthSettings.None.With(path)) { EndOfText = endOfText, Fingerprint = TokenizerFiles.Fingerprint("", path, endOfText) };
    }
}
