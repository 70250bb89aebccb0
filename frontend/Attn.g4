// The grammar of .attn, in the words of docs/language.md; precedence is the order of the alternatives of `expr`.
//
// Three token types never come from the lexer: ParserTokens.cpp looks at matched brackets once and gives CALLEE to a name that
// is called, LTUPLE to the "(" of a list of axes, LASTCOMMA to a comma before a closing bracket. With them nearly every decision
// needs one token of lookahead, so parsing is fast and an error is found where it stands.
grammar Attn;

tokens { CALLEE, LTUPLE, LASTCOMMA }

file : (importDecl | fn | mixer | schedule)* EOF ;

importDecl : IMPORT STRING ;

fn     : fnHead (EQUAL expr | LBRACE (stmt | SEMI)* results SEMI* RBRACE) ;
fnHead : FN name (LSQUARE NAME (COMMA NAME)* LASTCOMMA? RSQUARE)? LPAREN (NAME (COMMA NAME)* LASTCOMMA?)? RPAREN ;
results : RETURN expr (COMMA expr)* ;

mixer     : mixerHead LBRACE (stmt | SEMI)* RBRACE ;
mixerHead : MIXER name LPAREN decls RPAREN ARROW LPAREN decls RPAREN ;
name      : NAME | CALLEE ;

decls    : (decl (COMMA decl)* LASTCOMMA?)? ;
decl     : NAME COLON dtype? LSQUARE dims RSQUARE (IN promise)? (EQUAL expr)? ;
dtype    : NAME ;
promise  : NAME ;
dims     : (dim (COMMA dim)* LASTCOMMA?)? ;
dim      : NAME (COLON extent)? (EQUAL parts)? | parts ;
parts    : (LPAREN | LTUPLE) axis+ RPAREN ; // at least two: checked with a better message
axis     : NAME (COLON extent)? ;
extent   : INT | NAME | HASH NAME | LPAREN expr RPAREN ;

stmt : AXIS dim (COMMA dim)*                                           # axisStmt
     | PARAM NAME (COLON dtype)? EQUAL expr                            # paramStmt
     | REQUIRE expr (COMMA STRING)?                                    # requireStmt
     | NAME (COMMA NAME)* annotation? EQUAL expr (INIT expr)?          # equation
     ;
annotation : COLON LSQUARE dims RSQUARE ;

expr : postfix
     | <assoc = right> expr op = POW expr
     | op = MINUS expr
     | expr op = (STAR | SLASH | DIV | PERCENT) expr
     | expr op = (PLUS | MINUS) expr
     | expr op = (LT | LE | GT | GE | EQ | NE) expr // a chain is put together afterwards
     | op = NOT expr
     | expr op = AND expr
     | expr op = OR expr
     | <assoc = right> expr op = IF expr ELSE expr
     | expr op = WHERE expr
     ;

postfix : primary reads* ;
reads   : LSQUARE subst (COMMA subst)* LASTCOMMA? RSQUARE ;
subst   : expr (ASSIGN expr)? ; // left of ":=" an axis or a tuple: checked with a better message

primary : INT | REAL | TRUE | FALSE | INF | PI | LAST
        | NAME
        | tuple
        | HASH (NAME | tuple)
        | LPAREN expr RPAREN
        | call
        ;
tuple   : LTUPLE NAME NAME+ RPAREN ;
call    : CALLEE axisArgs? LPAREN (expr (COMMA expr)* LASTCOMMA?)? RPAREN ;
axisArgs : LSQUARE axisArg ((COMMA | BAR) axisArg)* LASTCOMMA? RSQUARE ;
axisArg : dim | MINUS NAME | UNDERSCORE ;

schedule  : SCHEDULE NAME NAME LBRACE (hint SEMI*)* RBRACE ;
hint      : NAME (hintValue (COMMA hintValue)*)? ;
hintValue : NAME EQUAL INT ;

IMPORT : 'import' ; FN : 'fn' ; MIXER : 'mixer' ; SCHEDULE : 'schedule' ; AXIS : 'axis' ; PARAM : 'param' ;
REQUIRE : 'require' ; INIT : 'init' ; RETURN : 'return' ; WHERE : 'where' ; IN : 'in' ; IF : 'if' ; ELSE : 'else' ;
DIV : 'div' ; AND : 'and' ; OR : 'or' ; NOT : 'not' ; TRUE : 'true' ; FALSE : 'false' ; INF : 'inf' ; PI : 'pi' ;
LAST : 'last' ; UNDERSCORE : '_' ;

LPAREN : '(' ; RPAREN : ')' ; LSQUARE : '[' ; RSQUARE : ']' ; LBRACE : '{' ; RBRACE : '}' ;
COMMA : ',' ; SEMI : ';' ; COLON : ':' ; ASSIGN : ':=' ; EQUAL : '=' ; ARROW : '->' ; BAR : '|' ; HASH : '#' ;
PLUS : '+' ; MINUS : '-' ; STAR : '*' ; SLASH : '/' ; PERCENT : '%' ; POW : '**' ;
LT : '<' ; LE : '<=' ; GT : '>' ; GE : '>=' ; EQ : '==' ; NE : '!=' ;

INT    : [0-9]+ ;
REAL   : ([0-9]+ '.' [0-9]* | '.' [0-9]+) ([eE] [+-]? [0-9]+)? | [0-9]+ [eE] [+-]? [0-9]+ ;
NAME   : [A-Za-z_] [A-Za-z0-9_]* '\''* ;
STRING : '"' (~["\\\r\n] | '\\' ~[\r\n])* '"' ;

DOC     : '///' (~[/\r\n] ~[\r\n]*)? ;
COMMENT : '//' ~[\r\n]* -> skip ;
SPACE   : [ \t\r\n]+ -> skip ;

// Wrong text gets tokens too, so that the lexer never fails and the message can be about the whole piece.
BADNUMBER : [0-9.] [A-Za-z0-9_.']* ;
BADSTRING : '"' (~["\\\r\n] | '\\' ~[\r\n])* '\\'? ;
BAD       : . ;
