using LowRank.Tokenizers.Decoders;
using LowRank.Tokenizers.Models;
using LowRank.Tokenizers.Normalizers;
using LowRank.Tokenizers.PostProcessors;
using LowRank.Tokenizers.PreTokenizers;
using LowRank.Tokenizers.SentencePiece;

namespace LowRank.Tokenizers;

/// <summary>A Hugging Face tokenizer: <c>tokenizer.json</c>, GPT-2's <c>vocab.json</c> and <c>merges.txt</c>, BERT's
/// <c>vocab.txt</c>, or a sentencepiece model.</summary>
/// <remarks>Produces the same ids as the tokenizers library. Thread-safe.</remarks>
public sealed partial class Tokenizer : ITextTokenizer
{
    private const string FileName = "tokenizer.json";
    private readonly INormalizer? normalizer;
    private readonly IPreTokenizer? preTokenizer;
    private readonly ITokenModel model;
    private readonly SpecialTokenFrame frame;
    private readonly IDecoder? decoder;
    private readonly TokenizerFolder folder;
    private readonly LengthSettings lengths;
    private readonly AddedTokenFinder plainTokens;
    private readonly AddedTokenFinder normalizedTokens;
    private readonly Dictionary<int, string> tokens = [];
    private readonly Dictionary<string, int> ids = [];
    private readonly HashSet<int> special;
    private readonly HashSet<int> hidden = []; // what decoding leaves out with the special tokens
    private IReadOnlyDictionary<string, string>? given; // templates in place of the folder's
    private readonly bool joinsBytes; // the decoder takes a run of byte tokens for text only as a whole

    private Tokenizer(ComponentJson json, TokenizerFolder folder, LengthSettings lengths)
        : this(TokenModelReader.Read(json.Child("model") ?? throw json.Unsupported("model", "an object")), folder,
            json.Json["added_tokens"] is null ? [] : [.. json.Children("added_tokens").Select(AddedToken.Read)],
            json.Child("normalizer") is { } normalizer ? NormalizerReader.Read(normalizer) : null,
            json.Child("pre_tokenizer") is { } preTokenizer ? PreTokenizerReader.Read(preTokenizer) : null,
            json.Child("post_processor") is { } processor ? PostProcessorReader.Read(processor)
            : SpecialTokenFrame.None,
            json.Child("decoder") is { } decoder ? DecoderReader.Read(decoder) : null, lengths)
    {
    }

    private Tokenizer(
        ITokenModel model, TokenizerFolder folder, IReadOnlyList<AddedToken> added, INormalizer? normalizer,
        IPreTokenizer? preTokenizer, SpecialTokenFrame frame, IDecoder? decoder, LengthSettings lengths)
    {
        (this.model, this.folder, this.normalizer, this.preTokenizer, this.frame) =
            (model, folder, normalizer, preTokenizer, frame);
        (this.decoder, this.lengths) = (decoder, lengths);
        foreach ((string token, int id) in model.Vocabulary) (tokens[id], ids[token]) = (token, id);
        // As in the tokenizers library, a token that is found in the normalised text is decoded in its normalised form,
        // and special tokens are skipped by that form.
        HashSet<string> leftOut = [.. added.Where(token => token.IsSpecial).Select(token => token.Content)];
        foreach (AddedToken token in added)
        {
            string shown = token.IsNormalized && normalizer is not null ? normalizer.Normalize(token.Content)
                : token.Content;
            (tokens[token.Id], ids[token.Content]) = (shown, token.Id);
            if (leftOut.Contains(shown)) hidden.Add(token.Id);
        }
        special = [.. added.Where(token => token.IsSpecial).Select(token => token.Id)];
        plainTokens = new AddedTokenFinder(
            added.Where(token => !token.IsNormalized).Select(token => (token.Content, token)));
        normalizedTokens = new AddedTokenFinder(added.Where(token => token.IsNormalized)
            .Select(token => (normalizer?.Normalize(token.Content) ?? token.Content, token)));
        joinsBytes = decoder is not null && string.Concat(decoder.Decode(["<0x41>", "<0xFF>"])) == "\uFFFD\uFFFD";
        VocabularySize = tokens.Keys.DefaultIfEmpty(-1).Max() + 1;
    }

    /// <inheritdoc/>
    public int VocabularySize { get; }

    /// <summary>Equal if everything that the tokenizers were created from is equal: files, chat template, end of
    /// text.</summary>
    public string Fingerprint { get; private set; } = "";

    /// <summary>Settings in the files that have no effect here, one sentence each.</summary>
    public IReadOnlyList<string> Notes => lengths.Notes;

    /// <summary>The side on which texts are truncated, unless options specify another.</summary>
    public TextSide TruncationSide => lengths.TruncationSide;

    private int? EndOfText { get; init; }

    // The source, for messages.
    private string Place { get; init; } = "";

    /// <summary>The token that starts a text; null if the files specify none.</summary>
    public int? BosTokenId => Role("bos_token");

    /// <inheritdoc/>
    public int? EosTokenId => Role("eos_token") ?? EndOfText;

    /// <summary>The padding token; null if the files specify none.</summary>
    public int? PadTokenId => Role("pad_token") ?? (lengths.PadToken is { } pad ? TokenToId(pad) : null);

    /// <summary>The mask token; null if the files specify none.</summary>
    public int? MaskTokenId => Role("mask_token");

    /// <summary>The unknown token; null if the files specify none.</summary>
    public int? UnknownTokenId => Role("unk_token");

    /// <inheritdoc/>
    public string? ChatTemplateSource => ChatTemplates.GetValueOrDefault(ChatTemplateFiles.Default);

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> ChatTemplates => given ?? folder.ChatTemplates;

    /// <summary>A description of the source of its chat template, if it is not the tokenizer's own files; otherwise
    /// null.</summary>
    public string? ChatTemplatePlace { get; private set; }

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, string> SpecialTokens => folder.SpecialTokens;

    /// <summary>The same tokenizer with other chat templates.</summary>
    /// <param name="templates">The templates by name.</param>
    /// <param name="place">A description of their source; null if they are the model's own.</param>
    public Tokenizer WithChatTemplates(IReadOnlyDictionary<string, string> templates, string? place)
    {
        var other = (Tokenizer)MemberwiseClone(); // nothing in it changes, so that all may be shared
        (other.given, other.ChatTemplatePlace) = (templates, place);
        other.Fingerprint = TokenizerFiles.Fingerprint(
            string.Join('\0', templates.SelectMany(template => new[] { template.Key, template.Value }).Append(place)
            .Append(Fingerprint)), null, null);
        return other;
    }

    /// <inheritdoc/>
    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        var result = new List<int>(text.Length / 3 + 2);
        if (addSpecialTokens) result.AddRange(frame.Before);
        string whole = LoneSurrogates.Replace(text);
        var budget = new TextBudget(whole.Length, Place);
        foreach ((int start, int end, AddedToken? token) in plainTokens.Find(whole))
        {
            if (token is not null) result.Add(token.Id);
            else EncodeNormalized(whole[start..end], start == 0, budget, result);
        }
        if (addSpecialTokens) result.AddRange(frame.After);
        return [.. result];
    }

    /// <summary>Encodes a text with all information about its tokens.</summary>
    /// <param name="text">The text; special tokens in it become their ids.</param>
    /// <param name="options">Length, padding and other options; null for no truncation or padding. Of the
    /// <c>truncation</c> and <c>padding</c> settings in tokenizer.json, the sides and the padding token apply but the
    /// lengths do not, as in transformers (<see cref="Notes"/>).</param>
    /// <exception cref="InputException">The options cannot be satisfied.</exception>
    public TokenEncoding EncodeFull(string text, EncodingOptions? options = null) =>
        Assembler.Assemble([EncodeAligned(text)], options ?? new(), windows: false)[0];

    /// <summary>Encodes a pair of texts with all information about their tokens.</summary>
    /// <inheritdoc cref="EncodeFull(string, EncodingOptions)"/>
    public TokenEncoding EncodeFull(string first, string second, EncodingOptions? options = null) =>
        Assembler.Assemble([EncodeAligned(first), EncodeAligned(second)], options ?? new(), windows: false)[0];

    /// <summary>Encodes a pair of texts in windows; the truncated text's windows overlap by the stride.</summary>
    /// <inheritdoc cref="EncodeFull(string, EncodingOptions)"/>
    public IReadOnlyList<TokenEncoding> EncodeWindows(string first, string second, EncodingOptions options) =>
        Assembler.Assemble([EncodeAligned(first), EncodeAligned(second)], options, windows: true);

    /// <summary>Decodes ids to text.</summary>
    /// <param name="tokenIds">The ids; unknown ones are ignored.</param>
    /// <param name="skipSpecialTokens">Whether to skip special tokens.</param>
    public string Decode(IEnumerable<int> tokenIds, bool skipSpecialTokens = false)
    {
        List<string> parts = [];
        foreach (int id in tokenIds)
            if (tokens.TryGetValue(id, out string? token) && !(skipSpecialTokens && hidden.Contains(id)))
                parts.Add(token);
        return decoder is null ? string.Join(' ', parts)
            : string.Concat(decoder.Decode(parts, new TextBudget(parts.Sum(part => (long)part.Length), Place)));
    }

    /// <inheritdoc/>
    string ITextTokenizer.Decode(IReadOnlyList<int> ids) => Decode(ids);

    /// <inheritdoc/>
    public int? TokenToId(string token) => ids.TryGetValue(token, out int id) ? id : null;

    /// <summary>The token with an id; null if unknown.</summary>
    public string? IdToToken(int id) => tokens.GetValueOrDefault(id);

    /// <summary>Whether an id is a special token.</summary>
    public bool IsSpecial(int id) => special.Contains(id);

    /// <summary>Whether decoding skips a token together with the special ones.</summary>
    internal bool IsLeftOut(int id) => hidden.Contains(id);

    /// <summary>Whether a token's text depends on the following tokens: a byte in a run, which is decoded as a
    /// whole.</summary>
    internal bool IsOpenByte(int id) =>
        joinsBytes && ByteFallbackDecoder.ByteOf(tokens.GetValueOrDefault(id, "")) is not null;

    /// <summary>A decoder for tokens that arrive one by one.</summary>
    public StreamingDecoder CreateStreamingDecoder(bool skipSpecialTokens = true) => new(this, skipSpecialTokens);

    private void EncodeNormalized(string text, bool isFirst, TextBudget budget, List<int> result)
    {
        string normalized = normalizer?.Normalize(text, budget) ?? text;
        foreach ((int start, int end, AddedToken? token) in normalizedTokens.Find(normalized))
        {
            if (token is not null)
            {
                result.Add(token.Id);
                continue;
            }
            string part = start == 0 && end == normalized.Length ? normalized : normalized[start..end];
            var piece = new Piece(part, 0, part.Length, AsBytes: false);
            if (preTokenizer is null)
            {
                model.Encode(piece, result);
                continue;
            }
            var pieces = new List<Piece>(part.Length / 4 + 1);
            preTokenizer.Split(piece, isFirst && start == 0, pieces, budget);
            foreach (Piece each in pieces)
                if (each.Length > 0) model.Encode(each, result);
        }
    }

    // Whether the pre-tokenizer converts text to bytes for the model, instead of only splitting.
    private bool SeesBytes()
    {
        List<Piece> pieces = [];
        preTokenizer?.Split(new Piece("a", 0, 1, AsBytes: false), true, pieces);
        return pieces.Exists(piece => piece.AsBytes);
    }

    private EncodingAssembler Assembler =>
        new(frame, PadTokenId, lengths, frame.TrimsOffsets
        ? (span, id, isFirst) => frame.Trim(span, tokens[id], isFirst) : null);

    /// <summary>The special tokens that are added around a text.</summary>
    internal SpecialTokenFrame Frame => frame;

    /// <summary>Like <see cref="Encode"/> without special tokens, with the source position of each token.</summary>
    /// <param name="text">The text.</param>
    /// <param name="normalizes">Whether to normalise the text.</param>
    /// <param name="splits">Whether to split it before the model processes it.</param>
    internal EncodedText EncodeAligned(string text, bool normalizes = true, bool splits = true)
    {
        List<int> result = [];
        List<TokenSpan> offsets = [];
        string whole = LoneSurrogates.Replace(text);
        var budget = new TextBudget(whole.Length, Place);
        foreach ((int start, int end, AddedToken? token) in plainTokens.Find(whole))
        {
            if (token is null)
            {
                AlignedText part = AlignedText.Of(whole[start..end], budget);
                Align(normalizes && normalizer is not null ? normalizer.Align(part) : part, start, splits, result,
                    offsets);
            }
            else
            {
                result.Add(token.Id);
                offsets.Add(new TokenSpan(start, end));
            }
        }
        return new EncodedText([.. result], [.. offsets]);
    }

    private void Align(AlignedText normalized, int at, bool splits, List<int> result, List<TokenSpan> offsets)
    {
        TokenSpan Place(int first, int last)
        {
            TokenSpan span = normalized.Span(first, last);
            return new TokenSpan(at + span.Start, at + span.End);
        }
        foreach ((int start, int end, AddedToken? token) in normalizedTokens.Find(normalized.Text))
        {
            if (token is not null)
            {
                result.Add(token.Id);
                offsets.Add(Place(start, end - 1));
                continue;
            }
            string part = normalized.Text[start..end];
            List<Piece> pieces = [];
            var unsplit = new Piece(part, 0, part.Length, AsBytes: false);
            if (preTokenizer is null || !splits) pieces.Add(unsplit with { AsBytes = SeesBytes() });
            else preTokenizer.Split(unsplit, at == 0 && start == 0, pieces, normalized.Budget);
            List<(int First, int Last)> spans = [];
            foreach (Piece piece in pieces.Where(piece => piece.Length > 0))
            {
                spans.Clear();
                model.EncodeSpans(piece, result, spans);
                offsets.AddRange(
                    spans.Select(span => Place(start + piece.Origin(span.First), start + piece.Origin(span.Last))));
            }
        }
    }

    private int? Role(string role) => folder.SpecialTokens.TryGetValue(role, out string? token)
        ? TokenToId(token) : null;
}
