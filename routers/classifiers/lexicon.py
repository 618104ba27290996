"""Words that tell a task, in many languages, each under the name of what it means.

A model trained on English texts mostly learns what the meanings tell; through them it reads the other
languages, too. A word that ends in * stands for all words that begin so; _ joins the words of a phrase.
"""
# ruff: noqa: E501, RUF001

from typing import Final

WORDS: Final[dict[str, str]] = {
    # --- making text -----------------------------------------------------------------------------
    "write": """write writes writing wrote written compose composing draft drafting pen author ghostwrite
        напиш* напис* сочин* состав* schreib* verfass* formulier* entwirf escrib* redact* escrív* escrev*
        redija redig* écri* rédig* ecri* redig* scriv* scrivi* schrijf* napisz yaz* اكتب اكتبي كتابة صغ
        लिखो लिखें लिखिए लिख लिखना तैयार viết tulis* tuliskan skriv*""",
    "make": """create creates creating generate generates generating make craft crafting produce prepare
        come_up_with созда* сгенерир* придумай* подготов* erstell* erzeug* mach mache bereite crea creá crear
        genera generar haz hacer prepara inventa crée créer créez génère générer fais prépare crie criar gere
        gerar faça faz inventa أنشئ انشئ ولد أعد حضر बनाओ बनाएं बनाइए बनाये बनाना crei buat buatkan tạo""",
    "build": """implement implementing implementation build building develop developing design designing
        реализ* разработ* постро* implementier* entwick* baue implementa* desarroll* diseñ* construy*
        implémente* développe* conçois construi* desenvolv* projete صمم طور برمج डिज़ाइन विकसित""",
    "continue": """continue complete finish extend expand продолж* заверш* fortsetz* ergänz* setze continú*
        completa* termina* continue complét* terminez أكمل तکملہ पूरा""",
    "story": """story stories tale tales novel fiction fanfic fanfiction chapter scene screenplay script plot
        character characters protagonist narrative dialogue fable legend monologue fantasy episode
        рассказ* истори* сказк* роман сцен* сценари* глав* персонаж* geschichte* märchen erzählung roman szene
        kapitel kurzgeschichte cuento* historia* relato* novela* escena* guion capítulo histoire* conte contes
        récit roman scène nouvelle conto história histórias romance cena قصة قصص رواية حكاية कहानी कथा उपन्यास
        storia racconto verhaal hikaye cerita truyện""",
    "poem": """poem poems poetry haiku sonnet limerick verse rhyme rhyming lyrics song rap ballad ode stanza
        стих* поэм* песн* хайку рифм* gedicht* lied liedtext haiku reim* poema* poesía canción versos letra
        soneto poème* poésie chanson paroles rime canção poesia verso قصيدة شعر أغنية कविता गीत शायरी gedicht
        poesia şiir puisi thơ""",
    "essay": """essay essays article articles blog blogpost post posts report reports paper thesis abstract
        introduction conclusion outline review newsletter wikipedia biography bio memoir paragraphs chapter
        эссе стать* доклад* реферат* сочинени* отчет* отчёт* пост обзор aufsatz artikel bericht beitrag
        blogbeitrag referat ensayo* artículo* informe* publicación reseña redacción essai article rapport
        dissertation billet ensaio artigo* relatório resenha مقال مقالا مقالة تقرير निबंध लेख रिपोर्ट ब्लॉग""",
    "letter": """email emails e-mail mail letter letters message sms memo invitation resume cv cover speech toast
        reply response apology complaint announcement statement request reference
        письм* сообщени* резюме реч* приглашени* поздравлени* brief mail nachricht rede bewerbung* anschreiben
        einladung carta* correo mensaje discurso invitación currículum lettre* courriel message discours
        invitation carta* mensagem discurso convite رسالة بريد خطاب دعوة पत्र ईमेल संदेश भाषण""",
    "advert": """slogan slogans tagline advertisement advert ad ads headline headlines caption captions tweet tweets
        marketing pitch brand product description linkedin instagram facebook youtube seo press
        реклам* слоган* заголов* пост werbung werbetext anzeige slogan überschrift anuncio* eslogan publicidad
        titular publicité annonce slogan anúncio propaganda إعلان شعار विज्ञापन नारा""",
    "joke": """joke jokes funny humorous humor pun puns satire parody шутк* анекдот* witz witze lustig*
        chiste* broma* gracioso blague* drôle piada* engraçad* نكتة चुटकुला""",
    # --- code ------------------------------------------------------------------------------------
    "code": """code codes coding function functions program programs programming script scripts algorithm class
        method snippet subroutine module library package codebase implementation compiler component endpoint
        код кода коде функци* програм* скрипт* алгоритм* метод класс code funktion* programm* skript* klasse
        algorithmus código funcion* función programa* algoritmo* clase fonction* programme* algorithme* classe
        função funções كود دالة برنامج خوارزمية कोड फ़ंक्शन फंक्शन प्रोग्राम codice funzione""",
    "codelang": """python java javascript js typescript ts c c++ cpp csharp c# golang rust ruby php swift kotlin scala
        perl haskell matlab r bash shell powershell sql mysql postgresql postgres sqlite html css react vue
        angular node nodejs django flask fastapi spring pandas numpy pytorch tensorflow vba excel latex lua
        dart flutter assembly verilog cuda fortran julia zig lisp prolog delphi solidity terraform ansible
        питон* питоне""",
    "tech": """api json xml yaml regex regexp database query table schema server client docker kubernetes git github
        linux windows ubuntu aws azure gcp http https rest graphql website webpage app application frontend
        backend array list dictionary string integer boolean variable loop recursion object thread async
        pointer struct interface framework repository deploy terminal command cli bot dataframe csv file files
        базу баз* данных сайт* сервер* запрос* массив* строк* datenbank abfrage webseite base_de_datos
        sitio matriz cadena base_de_données tableau chaîne banco_de_dados site""",
    "error": """error errors bug bugs buggy exception traceback crash crashes crashed fails failing failed failure
        undefined stacktrace warning wrong incorrect broken issue problem_with doesn't_work not_working
        not_work doesn't_compile cannot_find segfault syntaxerror typeerror valueerror
        ошибк* баг* исключени* не_работает fehler* funktioniert_nicht absturz error_en errores fallo*
        no_funciona erreur* bogue ne_fonctionne erro erros não_funciona خطأ مشكلة गलती त्रुटि errore""",
    "fix": """fix fixes fixing debug debugging repair resolve troubleshoot исправ* почин* отлад* отлож*
        behebe* behebung korrigiere repariere debugge arregla* corrige* repara* depura* corrij* répare*
        débogu* corrig* conserte أصلح صحح सुधार ठीक""",
    "refactor": """refactor refactoring optimize optimise optimizing optimization port convert migrate
        modernize vectorize document comment comments docstring docstrings review_this_code code_review
        time_complexity unit_test unit_tests рефактор* оптимизир* optimier* refaktor* refactoriza* optimiza*
        convierte optimise* refactorise* convertis otimiz* refator* converta""",
    # --- working on text -------------------------------------------------------------------------
    "summarize": """summarize summarise summarizes summarizing summarizing summary summaries summarization tldr tl;dr
        recap condense shorten_the key_points main_points main_idea gist takeaways bullet_points in_brief
        резюмир* кратко краткое краткий суммир* обобщ* пересказ* конспект* zusammenfass* fasse zusammen
        kurzfassung resum* resume resúmeme síntesis sintetiza résum* synthèse synthétise resuma resumo
        لخص تلخيص ملخص सारांश संक्षेप संक्षिप्त riassum* samenvat* özetle ringkas* tóm_tắt""",
    "translate": """translate translates translating translation translations translated перевед* перевод* übersetz*
        traduc* traduce* traduis* traduire traduit traduct* traduz* tradução traduzir ترجم ترجمة ترجمي अनुवाद
        tradurre traduci vertaal* çevir terjemah* dịch""",
    "tongue": """english french german spanish italian portuguese russian chinese mandarin japanese korean arabic hindi
        dutch turkish polish swedish latin greek hebrew vietnamese thai indonesian ukrainian czech danish
        английск* русск* немецк* французск* испанск* китайск* deutsch* englisch* französisch* spanisch*
        russisch* chinesisch* japanisch* inglés ingles español francés alemán italiano portugués ruso chino
        japonés anglais français allemand espagnol italien portugais russe chinois japonais inglês espanhol
        francês alemão português الإنجليزية العربية الفرنسية الانجليزية الإسبانية अंग्रेजी अंग्रेज़ी हिंदी
        हिन्दी फ्रेंच स्पेनिश inglese francese tedesco""",
    "rewrite": """rewrite rewriting reword rephrase rephrasing paraphrase paraphrasing edit editing proofread polish revise
        revised revising improve enhance rework reformulate restate simplify correct_the copyedit humanize
        перепиш* перефраз* отредактир* улучш* перефразируй umschreib* formuliere_um umformulier* überarbeit*
        verbesser* korrigier* reescrib* reformul* parafrase* mejora* corrige* edita* réécri* reformul* amélior*
        paraphras* corrige* reescrev* melhor* parafras* revise أعد_كتابة أعد_صياغة حسن صياغة पुनर्लेखन
        सुधारें बेहतर दोबारा riscriv* herschrijf""",
    "turn": """turn transform change convert reformat format capitalize condense shorten expand elaborate adapt modify
        replace remove add adjust convert_this into преврат* преобраз* измени* сократи* замени* добавь wandle*
        verwandle* änder* kürze* ersetze* ändere convierte cambia acorta transforma* reemplaza amplía change
        transforme* remplace* raccourci* convertis ajoute mude troque encurte substitua converta غير حول اختصر
        बदलो बदलें बदलिए cambia trasforma""",
    "previous": """previous previously last_response your_response your_answer that_explanation this_explanation
        that_response your_explanation last_answer your_previous the_previous that_list that_answer
        those_points earlier again предыдущ* прошл* vorherig* letzte* anterior último précédent* dernière
        السابق السابقة पिछले पिछला""",
    "opinion": """opinion think thoughts believe view views perspective feel_about agree prefer мнени* думаешь считаешь
        meinung denkst findest opinas opinión piensas penses avis opinião acha pensa رأيك राय""",
    "style": """formal informal professional concise shorter longer simpler clearer polite friendly tone style grammar
        grammatical spelling grammatically fluent casual persuasive engaging wording readable active_voice
        passive_voice формальн* официальн* вежлив* стил* грамматик* короче förmlich* höflich* kürzer stil
        grammatik einfacher* formal* más_corto educado tono gramática formel* plus_court poli ton grammaire
        tom mais_curto gramática رسمي أسلوب औपचारिक व्याकरण शैली""",
    "classify": """classify classifies classifying classification categorize categorise categorization label labels
        labeled sort rate tag determine_whether decide_whether classificar классифиц* определи* отнеси
        klassifizier* kategorisier* ordne einordnen stufe clasific* categoriz* etiquet* classifi* catégoris*
        classe classific* categoriz* rotul* صنف تصنيف حدد वर्गीकृत वर्गीकरण""",
    "category": """category categories sentiment positive negative neutral spam topic genre class classes intent toxic
        stance polarity toxicity urgent sarcastic hateful subjective objective entailment contradiction
        категори* тональност* положительн* отрицательн* нейтральн* kategorie* stimmung positiv* negativ*
        neutral thema categoría* sentimiento positiv* negativ* catégorie* sentiment positif négatif categoria*
        sentimento فئة مشاعر إيجابي سلبي إيجابية سلبية श्रेणी भावना सकारात्मक नकारात्मक""",
    "extract": """extract extracts extracting extraction pull_out parse retrieve извлек* выпиши* выдел* найди*
        extrahier* entnimm zieh nenne_alle finde extra* extrae extraer extraiga extrais extraire relève extraia
        extrair استخرج استخراج निकालो निकालें निकालिए निकाल estrai""",
    "find": """find identify locate highlight underline mentioned which_of list_all name_all appear appears contains
        выяви* укажи* перечисл* identifizier* markiere identific* encuentra señala identifie* trouve
        identifiq* encontre حدد ابحث पहचानें खोजें ढूंढें""",
    "entity": """entities entity names dates date person people persons location locations organization organizations
        keywords keyword keyphrases phone address addresses emails fields key-value nouns verbs adjectives
        amounts prices values columns имена имен даты дату города адрес* ключев* сущност* namen orte daten
        schlüsselwörter adressen nombres fechas lugares palabras_clave direcciones noms dates lieux mots-clés
        nomes datas lugares palavras-chave أسماء تواريخ الأسماء التواريخ नाम तारीख तिथियाँ नामों""",
    "passage": """passage passages text texts paragraph paragraphs excerpt document documents transcript context following
        below above snippet content conversation abstract sentence sentences reading input article_below
        текст* отрывок* абзац* документ* предложени* следующ* ниже kontext text texte* folgend* absatz* satz
        sätze dokument* unten passage texto* siguiente* párrafo* pasaje documento* frase* oración suivant*
        paragraphe* extrait phrase* contexte passage seguinte* parágrafo* trecho contexto النص التالي التالية
        الفقرة الجملة نص पाठ निम्नलिखित वाक्य अनुच्छेद पैराग्राफ गद्यांश seguente testo""",
    "given": """given according based provided using refer referring reference согласно основе
        основываясь исходя laut anhand gemäß basierend según basado basándote proporcionado dado selon d'après
        basé fourni segundo com_base baseado fornecido وفقا بناء حسب अनुसार आधार दिए दिया""",
    "answer": """answer answers answered answering responde ответь* ответ* antwort* beantwort* respuesta* responde*
        contesta réponds réponse* répondre resposta* responda أجب الإجابة जवाब उत्तर rispondi""",
    "question": """question questions q ask вопрос* frage* pregunta* question* pergunta* سؤال السؤال प्रश्न सवाल domanda""",
    "choice": """true false yes no option options multiple-choice choose choices select correct_answer whether
        правда ложь да нет варианты выбери* wahr falsch ja nein wähle verdadero falso elige sí vrai faux choisis
        oui non verdadeiro escolha sim não صح خطأ نعم اختر सही गलत हां नहीं चुनें""",
    # --- asking ----------------------------------------------------------------------------------
    "what": """what what's whats что какой какая какие какое каков* чем was welche welcher welches qué que cuál cuáles
        quel quelle quels quelles qu'est-ce qu'est quoi qual quais o_que ما ماذا क्या कौन-सा कौनसा che cosa""",
    "who": """who whom whose who's кто кого wer wem wen quién quiénes qui quem من कौन किसने chi""",
    "when": """when when's когда wann cuándo quand quando متى कब""",
    "where": """where where's где куда wo woher dónde où onde أين कहाँ कहां dove""",
    "why": """why почему зачем warum wieso weshalb por_qué pourquoi por_que لماذا क्यों perché""",
    "how": """how how's как wie cómo comment como كيف कैसे come""",
    "howmany": """how_many how_much how_long how_far how_old how_fast сколько wieviel wie_viel wie_viele cuánto cuántos cuántas
        cuánta combien quanto quantos quantas كم कितना कितने कितनी quanti""",
    "explain": """explain explains explaining explanation describe describing discuss elaborate define definition meaning tell
        information overview understand learn объясн* опиш* расскаж* что_такое erklär* beschreib* erläuter*
        explic* descr* cuéntame define expliqu* décri* définis expliq* descrev* defina conte اشرح شرح وصف عرف
        समझाओ समझाएं समझाइए बताओ बताइए बताएं वर्णन spiega""",
    "compare": """compare comparing comparison difference differences differ versus vs pros cons advantages disadvantages
        better best similarities сравни* разниц* отлич* vergleich* unterschied* compara* diferencia* compar*
        différence* diferença* قارن الفرق तुलना अंतर फर्क""",
    "topic": """history theory cause causes effect effects benefits role impact important importance factors principle
        concept process science capital country population government meaning""",
    # --- thinking --------------------------------------------------------------------------------
    "compute": """calculate compute solve evaluate simplify determine derive differentiate integrate factor estimate add
        subtract multiply divide вычисл* посчита* рассчита* реши* найдите berechn* löse rechne ermittle calcul*
        resuelv* resolv* halla calcule* résou* calcul* calcule resolva احسب حل أوجد गणना हल ज्ञात calcola""",
    "prove": """prove proof show_that theorem lemma deduce infer conclude conclusion follows logically valid premise premises
        доказ* докаж* beweis* zeige demuestra* prueba démontre* prouve* prove demonstre برهن أثبت सिद्ध""",
    "math": """equation equations integral probability integer integers polynomial triangle matrix matrices derivative sum
        product number numbers percent percentage fraction ratio average mean median area volume perimeter
        radius circle angle prime divisible modulo sequence permutations graph vector eigenvalue function_f
        arithmetic algebra geometry calculus theorem digits square root cube speed distance interest
        уравнен* интеграл* вероятност* треугольник* числ* процент* площад* gleichung* integral
        wahrscheinlichkeit dreieck zahl zahlen prozent fläche ecuación ecuaciones probabilidad triángulo número
        números porcentaje área équation* probabilité nombre* pourcentage aire equação probabilidade porcentagem
        معادلة احتمال مثلث عدد مساحة समीकरण प्रायिकता त्रिभुज संख्या प्रतिशत क्षेत्रफल""",
    "quantity": """each total cost costs per remaining left altogether times twice half hours minutes dollars miles km kg
        apples more_than less_than bought sold earns spends всего каждый каждая осталось стоит insgesamt jeder
        kostet total cada cuesta quedan chaque coûte reste custa restam كل المجموع कुल प्रत्येक""",
    "puzzle": """puzzle riddle logic logical reasoning step_by_step brain_teaser sudoku chess older younger taller sister
        brother brothers sisters knights knaves truth liar if_all suppose assume scenario загадк* логическ*
        rätsel logik logisch* acertijo adivinanza lógica énigme devinette logique enigma charada لغز منطق पहेली
        तर्क""",
    # --- ideas -----------------------------------------------------------------------------------
    "idea": """idea ideas suggestion suggestions tips ways strategies recommendations activities options alternatives
        recipes topics themes hobbies names gifts hacks иде* совет* вариант* способ* рекомендац* ideen
        vorschläge vorschlag tipps möglichkeiten ideas sugerencias consejos formas recomendaciones idées
        suggestions conseils façons ideias dicas sugestões maneiras أفكار اقتراحات نصائح طرق विचार सुझाव तरीके
        आइडिया idee""",
    "suggest": """suggest suggests recommend recommends brainstorm brainstorming propose advise advice help_me_find предлож*
        посовет* порекоменд* vorschlag* empfiehl empfehl* schlage schlag brainstorm* sugier* recomiend* propon
        propone aconseja sugg* suggèr* recommand* propos* conseill* sugira sugir* recomend* اقترح أوصي انصحني
        सुझाओ सुझाएं सुझाइए सलाह consiglia""",
    "plan": """plan plans planning itinerary schedule trip travel vacation meal meals workout diet roadmap agenda routine
        budget week day days campaign curriculum syllabus strategy план* маршрут* распорядок расписани* поездк*
        plan reise reiseplan wochenplan trainingsplan plane itinerario viaje rutina planifica programme
        itinéraire voyage planifie roteiro viagem plano planeje خطة رحلة جدول योजना यात्रा कार्यक्रम""",
    "list": """list give provide name enumerate top five ten three several bullet список перечисл* дай назови* приведи*
        liste nenne gib zähle lista dame da nombra enumera liste donne cite énumère liste cite dê اذكر قائمة
        أعطني सूची दीजिए दो elenca""",
    # --- talking ---------------------------------------------------------------------------------
    "act": """act pretend roleplay role-play role imagine persona play simulate you_are you're_a character stay_in
        представь притвор* сыграй веди_себя роль stell_dir spiel tu_so rolle actúa imagina finge rol
        agis imagine joue rôle aja imagine finja papel تخيل تظاهر تصرف कल्पना नाटक अभिनय""",
    "hello": """hi hello hey hiya thanks thank morning evening night bye goodbye yo sup greetings welcome lol haha привет
        здравствуй* спасибо пока добрый hallo danke tschüss guten hola gracias adiós buenos buenas salut bonjour
        merci olá oi obrigado obrigada tchau bom مرحبا شكرا السلام أهلا नमस्ते धन्यवाद शुक्रिया ciao grazie""",
    "feel": """feel feeling feelings sad lonely tired bored stressed anxious happy love hate worried upset miss depressed
        excited nervous чувств* грустн* устал* скучно одинок* fühle traurig müde einsam langweilig siento triste
        cansad* solo aburrid* sens triste fatigué* seul ennuie sinto triste cansad* sozinh* أشعر حزين تعبت
        महसूस उदास अकेला थक""",
    "you": """you your yourself you're ты тебя твой вы du dich dein ihr tú tu te tus vous toi você você's أنت तुम आप
        तुम्हारा आपका""",
    "i": """i i'm my me mine myself i've i'd я мне мой меня моя ich mich mein meine mir yo mi mis je moi mon ma mes
        eu meu minha أنا मैं मेरा मेरी मुझे""",
    "talk": """chat talk talking conversation friend favorite favourite today doing weekend guess yes yeah ok okay sure nice
        really поговор* друг болта* unterhalt* freund reden charla amigo hablar hablemos discut* bavard* parler
        ami conversar conversa amigo تحدث صديق बात दोस्त बातें""",
    # --- judging, and things that are often asked about -------------------------------------------
    "judge": """predict predicts prediction detect detects detecting decide decides rank ranking ratings grade score
        scored evaluate evaluates evaluating assess verify check checks fact-check stars star duplicate duplicates
        bias biased stereotype grammatical tell_if tell_whether check_if say_whether belongs belong if_the whether_the
        is_this are_these likely unlikely support supports unsupported same_meaning предскаж* оцени* проверь*
        verifica* evalúa* predic* bewerte* prüfe* évalue* vérifie* avalie* verifique* قيم تحقق जाँच""",
    "gather": """come_up make_a list_of ideas_for ways_to things_to places_to names_for are_some some_good some_fun some_ideas
        some_ways some_tips suggestions_for what_should should_i best_way good_way how_can similar enjoy enjoyed
        like_to recommended curate must-see must-read examples_of give_some looking_for i_need help_me""",
    "same": """same_information same_idea same_ideas same_points the_same same_suggestions same_content that_as it_as this_as
        that_into it_into this_into these_into those_into reframe recast rephrase reword reformat in_the form_of
        as_if another_way again_but make_it make_that turn_that turn_this turn_it put_it put_that express_the
        present_the shorten_it instead the_explanation simpler_terms to_explain explain_it explain_that""",
    "food": """recipe recipes ingredient ingredients cook cooking dinner breakfast lunch dish dishes cocktail snack snacks
        bake baking dessert meal meals soup salad cuisine рецепт* блюд* ужин rezept* gericht* abendessen receta*
        cena comida recette* repas dîner receita* jantar وصفة طعام रेसिपी व्यंजन खाना ricetta""",
    "media": """movie movies film films book books song songs series show shows novel game games playlist podcast album
        band anime video videos фильм* книг* песн* сериал* buch bücher filme serie película* libro* canción
        livre* livres films livro* filme* فيلم كتاب फिल्म किताब""",
    "form": """table json csv bullet bullets bulleted markdown format formatted columns outline numbered template spreadsheet
        headings yaml tabular таблиц* tabelle tabla tableau tabela جدول तालिका""",
    "lexis": """synonym synonyms antonym antonyms rhyme rhymes acronym acronyms pronunciation abbreviation word words phrase
        phrases idiom idioms plural tense verb noun adjective prefix suffix vocabulary слово слова синоним* wort
        wörter palabra palabras mot mots palavra palavras كلمة शब्द""",
    "fact": """capital president king queen war century planet species invented discovered founded born died population
        country countries city cities river ocean animal animals empire element wrote won located highest largest
        longest biggest tallest oldest столиц* hauptstadt capitale عاصمة राजधानी""",
}  # fmt: skip
"""Meaning → its words, in scripts with spaces."""

SIGNS: Final[dict[str, str]] = {
    "write": "写一篇 写一 写个 写出 写 撰写 编写 创作 书写 拟 起草 書いて 書き 作文 執筆 써줘 작성 써",
    "make": "创造 生成 创建 制作 做一 产生 制定 编 作って 作成 生成して 考えて 만들어 생성",
    "build": "实现 设计 开发 构建 実装 設計 開発 구현 설계",
    "continue": "续写 接着 继续 补全 完成 続き 계속",
    "story": "故事 小说 童话 剧本 寓言 情节 场景 物語 小説 シーン 이야기 소설",
    "poem": "诗歌 诗 歌词 俳句 对联 诗句 七言 五言 詩 歌詞 俳句 시를 노래",
    "essay": "文章 作文 论文 报告 短文 演讲稿 读后感 影评 评论 博客 段落 エッセイ 記事 レポート ブログ 에세이 보고서 글을",
    "letter": "邮件 信件 一封信 书信 邀请函 简历 致辞 发言稿 短信 通知 メール 手紙 挨拶 이메일 편지",
    "advert": "广告 标语 口号 文案 宣传 标题 产品描述 推文 海报 広告 キャッチコピー スローガン 광고",
    "joke": "笑话 段子 幽默 冗談 ジョーク 농담",
    "code": "代码 函数 程序 算法 脚本 编程 コード 関数 プログラム スクリプト アルゴリズム 코드 함수 프로그램",
    "tech": "数据库 网页 网站 接口 数组 列表 字符串 变量 服务器 查询 データベース ウェブ 配列",
    "error": "报错 错误 异常 失败 出错 不能运行 エラー 例外 動かない バグ 오류 에러",
    "fix": "修复 调试 改正 修改代码 解决 修正 デバッグ 直して 수정",
    "refactor": "重构 优化 转换 注释 リファクタ 最適化 変換",
    "summarize": "总结 概括 摘要 归纳 概述 大意 主要内容 提炼 中心思想 要約 まとめて 要点 概要 요약",
    "translate": "翻译 译成 译为 翻成 英译 翻訳 訳して 번역",
    "tongue": "英文 英语 中文 汉语 日语 日文 法语 法文 德语 西班牙语 俄语 韩语 英語 日本語 中国語 フランス語 ドイツ語 영어 한국어",
    "rewrite": "编辑 改写 重写 润色 修改 改成 改为 改编 重新表达 替换 转化为 改进 重述 書き換え 書き直 言い換え 推敲 校正 添削 다시 고쳐",
    "turn": "加入 扩展 变成 转换成 转换为 改为 换成 变为 缩短 扩写 缩写 替换 纠正 改正 修正 删除 添加 増や 短く 変えて 直して 바꿔",
    "previous": "上面的回答 你的回答 刚才 之前 上一 さっき 先ほど 前の回答",
    "opinion": "看法 意见 你认为 你觉得 观点 如何看待 どう思 意見",
    "style": "可读性 简明 生动 正式 简洁 口语 书面 语气 语法 通顺 礼貌 同义 反义 主动 被动 丁寧 敬語 簡潔 文法 カジュアル 공손",
    "classify": "分为 分组 分类 归类 判断 判定 识别 属于 标注 区分 分類 判定して 判別 분류",
    "category": "类别 情感 积极 消极 正面 负面 中性 类型 情绪 主题 以下类别 カテゴリ 感情 肯定 否定 ポジティブ ネガティブ 긍정 부정",
    "extract": "提取 抽取 找出 列出文中 摘录 抽出 取り出 抜き出 추출",
    "find": "查找 指出 标出 哪些 找到 包含 特定して 見つけ 찾아",
    "entity": "关键词 人名 地名 日期 实体 名词 动词 时间 姓名 机构 キーワード 名前 日付 地名 固有名詞 이름 날짜",
    "passage": "下面 以下 文本 段话 这段 句子 文中 上文 给定 一段 原文 材料 短文 文字 次の 以下の 文章 本文 文を 段落 다음 문장",
    "given": "根据 基于 按照 依据 结合 参考 に基づ もとに によると 따르면",
    "answer": "回答 答案 解答 作答 答えて 回答して 答えは 답",
    "question": "问题 提问 问： 質問 問題 질문",
    "choice": "是否 对错 正确 选择 选项 真假 对还是错 正しい 選んで はい いいえ 선택",
    "what": "什么 是何 哪 何が 何を 何です とは なに 무엇 뭐",
    "who": "谁 何人 誰 누가",
    "when": "何时 什么时候 哪一年 几月 いつ 언제",
    "where": "哪里 何处 在哪 どこ 어디",
    "why": "为什么 为何 原因 なぜ どうして 왜",
    "how": "如何 怎么 怎样 怎么样 どうやって どのように 方法 어떻게",
    "howmany": "多少 几个 几只 几天 いくつ いくら 何人 何個 何本 몇 얼마",
    "explain": "解释 说明 介绍 描述 讲解 阐述 定义 什么是 告诉我 分析 説明 紹介 解説 教えて 설명",
    "compare": "比较 区别 对比 优缺点 不同 差异 比べ 違い 比較 長所 비교 차이",
    "topic": "影响 历史 作用 意义 特点 优势 重要性 原理 影響 歴史",
    "compute": "计算 求 解方程 算出 等于 求解 得出 計算 求め 解いて 計算して 계산",
    "prove": "证明 推理 推断 推导 結論 証明 推論 증명",
    "math": "方程 概率 三角形 面积 体积 数列 整数 百分 平方 长方形 半径 数字 方程式 確率 三角形 面積 合計 방정식 확률",
    "quantity": "一共 总共 平均 还剩 每 元 小时 公里 千克 米 全部で 合わせて 残り 円 時間",
    "puzzle": "逻辑 谜语 推理题 谜题 智力 なぞなぞ 論理 パズル 퍼즐",
    "idea": "想法 创意 点子 建议 方案 主意 方法和 灵感 话题 选题 アイデア 案を 提案 コツ 아이디어",
    "suggest": "推荐 建议 提出 提供一些 头脑风暴 提议 おすすめ 提案して ブレスト 薦め 추천 제안",
    "plan": "计划 规划 行程 旅行 安排 策划 日程 步骤 計画 旅行 プラン スケジュール 献立 계획 여행",
    "list": "列出 列举 给出 举例 提供 给我 请给 例举 挙げて リスト 列挙 示して 나열",
    "act": "扮演 假装 假设你 你是一 角色 模拟 想象 演じ ふりをして 役 あなたは 역할",
    "hello": "你好 您好 谢谢 再见 早上好 晚安 嗨 こんにちは ありがとう おはよう こんばんは 안녕 감사",
    "feel": "难过 开心 心情 孤独 累 无聊 烦 伤心 喜欢 悲しい 寂しい 疲れ 嬉しい 슬퍼",
    "you": "你 您 あなた 君 당신",
    "i": "我 我的 私 僕 俺 나는 내",
    "talk": "聊天 聊聊 朋友 今天 話し 話そう 友達 雑談 대화 친구",
    "judge": "评分 评价 预测 检测 相似 支持 打分 真实性 是否 評価 採点 평가",
    "askfact": "以下问题 下列问题 下面问题 下面这个 问题提供 个问题 请问 回答问题",
    "same": "同样 上述 这个回答 改成 用另一 同じ 같은",
    "food": "食谱 菜谱 食材 晚餐 早餐 午餐 做菜 菜肴 美食 レシピ 料理 献立 요리 레시피",
    "media": "电影 书籍 歌曲 游戏 电视剧 一本书 小说 映画 本を 曲を 영화 책을",
    "form": "表格 清单 格式 大纲 提纲 表形式 箇条書き 표로",
    "lexis": "同义词 反义词 成语 单词 词语 造句 拼音 近义词 押韵 類義語 対義語 단어",
    "fact": "首都 国家 总统 皇帝 世纪 最大 最高 最长 发明 发现 位于 哪个 哪一 哪位 城市 首相 発明 수도",
}  # fmt: skip
"""Meaning → its words, in scripts without spaces."""
