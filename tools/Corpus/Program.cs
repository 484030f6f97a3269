using System.Text.Json;
using LowRank.Corpus;
using LowRank.Data;
using LowRank.Tokenizers;

// usage: dotnet run -c Release --project tools/Corpus -- WORDNET_FOLDER OUTPUT_FOLDER
// Writes tokenizer.json, and train.jsonl and validation.jsonl as rows {"input_ids","labels"} of 256 tokens without
// padding.
const int RowCharacters = 900;    // entries of a document
const int ValidationShare = 100;  // one document in so many is held out
const int RowTokens = 256;
const int VocabularySize = 4096;
const string EndOfText = "<|end|>";

if (args.Length != 2)
{
    Console.Error.WriteLine(
        "usage: corpus WORDNET_FOLDER OUTPUT_FOLDER\n  WORDNET_FOLDER holds data.noun, data.verb, data.adj and " +
        "data.adv (Debian's wordnet-base: /usr/share/wordnet)");
    return 2;
}

string output = Directory.CreateDirectory(args[1]).FullName;
List<string> documents = Documents(args[0]);
List<string> train = [.. documents.Where((_, i) => i % ValidationShare != 0)],
    validation = [.. documents.Where((_, i) => i % ValidationShare == 0)];
string tokenizerFile = Path.Combine(output, "tokenizer.json");
File.WriteAllText(
    tokenizerFile, BytePairTrainer.Train(train, VocabularySize, [EndOfText, "<|im_start|>", "<|im_end|>"]));
Tokenizer tokenizer = Tokenizer.Load(tokenizerFile);
int end = tokenizer.TokenToId(EndOfText)!.Value;
Pack(train, "train.jsonl");
Pack(validation, "validation.jsonl");
return 0;

static List<string> Documents(string wordNet)
{
    var random = new StableRandom(20260101);
    List<Synset> synsets = [.. WordNetReader.Read(wordNet)];
    var writer = new EntryWriter(random);
    var documents = new List<string>();
    var document = new System.Text.StringBuilder();
    foreach (int index in random.Permutation(synsets.Count))
    {
        string entry = writer.Write(synsets[index]);
        if (document.Length > 0 && document.Length + entry.Length > RowCharacters)
        {
            documents.Add(document.ToString());
            document.Clear();
        }
        if (document.Length > 0) document.Append('\n');
        document.Append(entry);
    }
    documents.Add(document.ToString());
    Console.WriteLine(
        $"{synsets.Count} meanings in {documents.Count} documents, {documents.Sum(text => (long)text.Length)} " +
        "characters");
    return documents;
}

// Documents one after another, each with the end token behind it, cut into full rows.
void Pack(List<string> texts, string name)
{
    using var writer = new StreamWriter(Path.Combine(output, name));
    var pending = new List<int>();
    long rows = 0;
    foreach (string text in texts)
    {
        pending.AddRange(tokenizer.Encode(text));
        pending.Add(end);
        for (; pending.Count >= RowTokens; rows++)
        {
            int[] ids = [.. pending[..RowTokens]];
            pending.RemoveRange(0, RowTokens);
            writer.WriteLine(JsonSerializer.Serialize(new { input_ids = ids, labels = ids }));
        }
    }
    Console.WriteLine($"{name}: {rows} rows, {rows * RowTokens} tokens");
}
